"""Bringing small results of all ranks together. On one process these do nothing.

Ranks wait for each other here as long as it takes, in a group of their own: one whose share was quick, or all while the
first reads seventy thousand pictures of a reference folder, are not the sign of a fault that a missed step of training
is. A rank that has died closes its connections, and one that was stopped is missed by its pulse (`engine.pulse`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from torch import distributed

T = TypeVar("T")
_PATIENCE = timedelta(days=7)
_known: tuple[Callable[[], Any], Callable[[], Any]] = (lambda: None, lambda: None)  # torch's group, and ours beside it


def world_size() -> int:
    """Return how many processes evaluate together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Return this process's number, from 0."""
    return distributed.get_rank() if world_size() > 1 else 0


def gather_all(item: T) -> list[T]:
    """Return every rank's `item`, in rank order, on every rank."""
    if world_size() == 1:
        return [item]
    items: list[Any] = [None] * world_size()
    distributed.all_gather_object(items, item, group=_waiting_group())
    return items


def gather_first(item: T) -> list[T]:
    """Return every rank's `item`, in rank order, on the first rank; nothing on the others."""
    if world_size() == 1:
        return [item]
    items: list[Any] | None = [None] * world_size() if rank() == 0 else None
    distributed.gather_object(item, items, group=_waiting_group())
    return items or []


def from_first(item: T) -> T:
    """Return the first rank's `item` on every rank."""
    if world_size() == 1:
        return item
    items: list[Any] = [item]
    distributed.broadcast_object_list(items, src=0, group=_waiting_group())
    found: T = items[0]
    return found


def _waiting_group() -> Any:
    """Return all ranks once more, on the CPU; every rank comes here at its first gathering.

    It is torch that keeps the group, up to `destroy_process_group`: one that outlives it aborts the process at its end.
    """
    global _known
    whole, beside = (reference() for reference in _known)
    if beside is None or whole is not distributed.group.WORLD:
        beside = distributed.new_group(backend="gloo", timeout=_PATIENCE)
        _known = weakref.ref(distributed.group.WORLD), weakref.ref(beside)
    return beside
