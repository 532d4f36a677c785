"""How many of what, in words: one person, two people."""

from __future__ import annotations

_MANY = {"person": "people"}


def counted(number: int, noun: str) -> str:
    """Return `1 picture`, `2 pictures`, `1 person`, `1,000 people`; the noun is given for one."""
    return f"{number:,} {noun if number == 1 else _MANY.get(noun, noun + 's')}"
