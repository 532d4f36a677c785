"""Says in one line why a state dict does not fit a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

_LISTED = 20


def misfit(own: Mapping[str, Tensor], state: Mapping[str, Any]) -> str | None:
    """Return the missing and unexpected keys and the wrong shapes of `state`, or None when it fits exactly.

    Args:
        own: the state dict that the network has.
        state: the one that it is offered.
    """
    kinds = {
        "missing": [name for name in own if name not in state],
        "unexpected": [str(name) for name in state if name not in own],
        "of wrong shape": [
            f"{name} {_shape(state[name])} instead of {_shape(own[name])}"
            for name in own
            if name in state and not fits(own[name], state[name])
        ],
    }
    defects = [f"{len(names)} {kind}: {listed(names)}" for kind, names in kinds.items() if names]
    return "; ".join(defects) or None


def fits(own: Tensor, other: Any) -> bool:
    """Tell whether `other` is a tensor of the same shape."""
    return isinstance(other, Tensor) and other.shape == own.shape


def listed(names: list[str]) -> str:
    """Return the names with commas, the first twenty of them when there are more."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
