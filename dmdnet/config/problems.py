"""Turn what pydantic says about options into messages with file, line, path, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from dmdnet.config.tree import Node, Place, describe
from dmdnet.errors import ConfigError
from dmdnet.registry import COMPONENT_WANTED
from dmdnet.typed import UNKNOWN_OPTION, nearest

MAX_SHOWN = 20
_PYDANTIC_WANTS = "Input should be "
Loc = tuple[str | int, ...]

# By pydantic's name of the error, and the registry's.
_WANTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "int_type": lambda ctx: "a whole number",
    "int_from_float": lambda ctx: "a whole number",
    "float_type": lambda ctx: "a number",
    "finite_number": lambda ctx: "a finite number",
    "string_type": lambda ctx: "text",
    "bool_type": lambda ctx: "true or false",
    "tuple_type": lambda ctx: "a list",
    "list_type": lambda ctx: "a list",
    "dict_type": lambda ctx: "a mapping",
    "model_type": lambda ctx: "a mapping",
    COMPONENT_WANTED: lambda ctx: f"a {ctx['kind']}: a mapping with 'type' and its options",
    "none_required": lambda ctx: "nothing (~)",
    "literal_error": lambda ctx: str(ctx["expected"]),
    "greater_than": lambda ctx: f"more than {_number(ctx['gt'])}",
    "greater_than_equal": lambda ctx: f"{_number(ctx['ge'])} or more",
    "less_than": lambda ctx: f"less than {_number(ctx['lt'])}",
    "less_than_equal": lambda ctx: f"{_number(ctx['le'])} or less",
    "too_long": lambda ctx: f"a list of {ctx['max_length']} at most",
    "too_short": lambda ctx: f"a list of {ctx['min_length']} at least",
    "string_too_short": lambda ctx: f"{ctx['min_length']} characters at least",
    "string_too_long": lambda ctx: f"{ctx['max_length']} characters at most",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where it was written, the path of keys to it, and what to do."""

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.path}: {self.message}" if self.path else f"{self.place}: {self.message}"


def config_error(problems: Sequence[Problem]) -> ConfigError:
    """Return one error that lists the problems in the order of the files."""
    ordered = sorted(problems, key=lambda item: (item.place.source, item.place.line or 0))
    if len(ordered) == 1:
        return ConfigError(str(ordered[0]))
    lines = [f"{len(ordered)} problems in the options", *(str(item) for item in ordered[:MAX_SHOWN])]
    if len(ordered) > MAX_SHOWN:
        lines.append(f"... and {len(ordered) - MAX_SHOWN} more")
    return ConfigError("\n  ".join(lines))


def problems_of(error: ValidationError, tree: Node) -> dict[Loc, Problem]:
    """Return the problems of a validation by their paths in `tree`."""
    found: dict[Loc, list[dict[str, Any]]] = {}
    for line in error.errors(include_url=False):
        found.setdefault(_path_in(tree, line["loc"], line["type"]), []).append(dict(line))
    # a union reports each of its members: what lies deepest fits the value best
    shadowed = {path for path in found for other in found if len(other) > len(path) and other[: len(path)] == path}
    return {
        path: Problem(locate(tree, path).place, dotted(path), _message(lines))
        for path, lines in found.items()
        if path not in shadowed or any(line["type"] == UNKNOWN_OPTION for line in lines)
    }


def locate(tree: Node, path: Iterable[str | int]) -> Node:
    """Return the node at `path`, or the last one on the way that exists."""
    node = tree
    for key in path:
        below = _child(node, key)
        if below is None:
            break
        node = below
    return node


def dotted(path: Iterable[str | int]) -> str:
    """Return `train.losses.0`, the spelling of paths in messages and overrides."""
    return ".".join(str(key) for key in path)


def _path_in(tree: Node, loc: Loc, kind: str) -> Loc:
    """Return the keys of `loc` that stand in the file; pydantic adds the names of models and union members."""
    path: list[str | int] = []
    node = tree
    for index, key in enumerate(loc):
        below = _child(node, key)
        if below is not None:
            node = below
            path.append(key)
        elif kind == "missing" and index == len(loc) - 1:
            path.append(key)
    return tuple(path)


def _child(node: Node, key: str | int) -> Node | None:
    if isinstance(node.value, dict):
        return node.value.get(str(key))
    if isinstance(node.value, tuple) and isinstance(key, int) and key < len(node.value):
        return node.value[key]
    return None


def _message(lines: list[dict[str, Any]]) -> str:
    own = [line for line in lines if line["type"] not in _WANTS]
    if own:
        return "; ".join(dict.fromkeys(_own_message(line) for line in own))
    wanted = list(dict.fromkeys(_WANTS[line["type"]](line.get("ctx", {})) for line in lines))
    given = lines[0]["input"]
    return f"wants {' or '.join(wanted)}, got {describe(given)}{_hint(lines, given)}"


def _own_message(line: dict[str, Any]) -> str:
    if line["type"] == "missing":
        return "is missing"
    message: str = line["msg"]
    if message.startswith(_PYDANTIC_WANTS):
        return f"wants {message.removeprefix(_PYDANTIC_WANTS)}, got {describe(line['input'])}"
    return message.removeprefix("Value error, ")


def _hint(lines: list[dict[str, Any]], given: Any) -> str:
    """Return what was probably meant, where YAML itself misleads."""
    kinds = {line["type"] for line in lines}
    if isinstance(given, str):
        if COMPONENT_WANTED in kinds:
            return f"; write {{type: {given}}}"
        if "literal_error" in kinds:
            listed = " ".join(str(line["ctx"]["expected"]) for line in lines if line["type"] == "literal_error")
            names = re.findall(r"'([^']*)'", listed)
            hint = nearest(given, names)
            return f"; {hint}" if hint.startswith("did") else ""
        if kinds & {"int_type", "float_type"} and re.fullmatch(r"[-+]?[0-9_]+(\.[0-9]*)?", given):
            return f"; write {given.replace('_', '').lstrip('0') or '0'} (no leading zeros, no underscores, no quotes)"
        if "bool_type" in kinds and given.lower() in ("yes", "no", "on", "off"):
            return f"; write {'true' if given.lower() in ('yes', 'on') else 'false'}"
    if isinstance(given, float) and given.is_integer() and kinds & {"int_type", "int_from_float"}:
        return f"; write {int(given)}"
    if "string_type" in kinds and isinstance(given, int | float):
        return "; put it in quotes"
    return ""


def _number(value: float) -> str:
    return f"{value:g}"
