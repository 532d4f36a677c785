"""Networks of an installed BasicSR: `type: basicsr.RRDBNet`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dmdnet import basicsr_bridge


def find(name: str) -> Callable[..., Any]:
    """Return the constructor of a network of BasicSR, by its name without the prefix.

    Raises:
        ConfigError: BasicSR is missing or has no such network.
    """
    found = basicsr_bridge.components("network", "ARCH_REGISTRY", "basicsr.archs")
    return basicsr_bridge.constructor(basicsr_bridge.find(name, "network", found))
