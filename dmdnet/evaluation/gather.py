"""Bringing small results of all ranks together. On one process these do nothing."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import distributed

T = TypeVar("T")


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
    distributed.all_gather_object(items, item)
    return items


def gather_first(item: T) -> list[T]:
    """Return every rank's `item`, in rank order, on the first rank; nothing on the others."""
    if world_size() == 1:
        return [item]
    items: list[Any] | None = [None] * world_size() if rank() == 0 else None
    distributed.gather_object(item, items)
    return items or []


def from_first(item: T) -> T:
    """Return the first rank's `item` on every rank."""
    if world_size() == 1:
        return item
    items: list[Any] = [item]
    distributed.broadcast_object_list(items, src=0)
    found: T = items[0]
    return found
