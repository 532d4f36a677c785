"""The order in which names are listed: the same on every machine, and as people count."""

from __future__ import annotations


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key for relative names in which 2.png comes before 10.png and folders stay together."""
    return tuple(_part_key(part) for part in name.split("/"))


def _part_key(part: str) -> tuple[int, int, str]:
    stem = part.rsplit(".", 1)[0]
    return (0, int(stem), part) if stem.isascii() and stem.isdigit() else (1, 0, part)
