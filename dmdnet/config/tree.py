"""Values of option files with the places where they were written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Scalar: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True)
class Place:
    """Where a value was written: a file and its line, or an override of the command line (no line)."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Node:
    """A value with its place; a child of a mapping carries the place of its key.

    `carried` marks what a merge kept although the file that changed its surroundings did not ask for it: an option
    of a component whose `type` changed, or a null that stands for "without". The options drop it if it does not fit.
    """

    value: Scalar | dict[str, Node] | tuple[Node, ...]
    place: Place
    carried: bool = False

    def plain(self) -> Any:
        """Return the value without places: dicts, tuples and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return tuple(node.plain() for node in self.value)
        return self.value


def describe(value: Any) -> str:
    """Return a value in the words of messages: "text 'abc'", "the number 0.5", "a list", "nothing (~)"."""
    if isinstance(value, Node):
        value = value.plain()
    if value is None:
        return "nothing (~)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"text {value!r}" if len(value) <= 80 else f"text {value[:77]!r}..."
    if isinstance(value, int | float):
        return f"the number {value!r}"
    if isinstance(value, tuple | list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"a mapping ({', '.join(map(str, list(value)[:4]))}{', ...' if len(value) > 4 else ''})"
    return repr(value)
