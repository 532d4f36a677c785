"""One frozen network a process, however many metrics look through it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast
from weakref import WeakValueDictionary

from torch import nn

N = TypeVar("N", bound=nn.Module)

_networks: WeakValueDictionary[Hashable, nn.Module] = WeakValueDictionary()


def shared(key: Hashable, build: Callable[[], N]) -> N:
    """Return the network under `key` that somebody still holds, else the one that `build` makes.

    Args:
        key: names the kind of network and what it was loaded from, such as its resolved path.
        build: makes the network; it is returned in evaluation mode.
    """
    network = _networks.get(key)
    if network is None:
        network = build().eval()
        _networks[key] = network
    return cast(N, network)
