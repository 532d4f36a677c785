"""Read YAML strictly and remember where every value stands.

The syntax is PyYAML's safe parser; what a plain word means is decided here, after YAML 1.2:

- `true` and `false` are the only booleans (`yes`, `no`, `on`, `off` are text), `~`, `null` and nothing at all are null;
- `1e-4`, `1E4`, `.5e-3`, `5.` are numbers; so are `0x1f` and `0o17`;
- `007`, `1:30`, `1_000` and `2024-01-01` are text: YAML 1.1 reads them as octal, base 60, a number and a date.

Sequences become tuples and keys are text. Anchors and aliases work, up to `MAX_NODES` values in all. Tags, merge keys,
duplicate keys and a second document are errors, and so are files that are no UTF-8, longer than `MAX_BYTES` or nested
deeper than `MAX_DEPTH`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from dmdnet.config.tree import Node, Place, Scalar, describe
from dmdnet.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_NODES = 20_000  # aliases counted in full, so that no short file can stand for a huge tree
MAX_DIGITS = 64

_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_SPECIAL_FLOATS = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_BASED_INT = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def read_yaml(path: str | Path) -> Node:
    """Read a YAML file whose top is a mapping (an empty file is an error).

    Raises:
        ConfigError: the file is missing or unreadable (with the nearest name in its folder), or is not strict YAML.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: {_why_no_file(path)}")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: is longer than {MAX_BYTES} bytes; that is no option file")
    node = parse_yaml(_decode(data, path), str(path))
    if node.value is None:
        raise ConfigError(f"{path}: is empty; expected a mapping of options such as 'name: my_run'")
    if not isinstance(node.value, dict):
        raise ConfigError(f"{node.place}: expected a mapping of options such as 'name: my_run', got {describe(node)}")
    return node


def parse_yaml(text: str, source: str, *, numbered: bool = True) -> Node:
    """Parse one YAML document; `source` names it in errors, with line numbers if `numbered`.

    Raises:
        ConfigError: the text is not strict YAML.
    """
    return _Builder(text, source, numbered).document()


def resolve(text: str) -> Scalar:
    """Return what an unquoted word means. Numbers of more than `MAX_DIGITS` characters are text."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if text.lower() in _SPECIAL_FLOATS:
        return float(_SPECIAL_FLOATS[text.lower()])
    if len(text) > MAX_DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED_INT.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


class _Builder:
    """Builds nodes from the parser's events; one method per kind of node."""

    def __init__(self, text: str, source: str, numbered: bool) -> None:
        self.source = source
        self.numbered = numbered
        self.text = text
        self.path: list[str] = []
        self.anchors: dict[str, Node] = {}
        self.nodes = 0
        self.events: Iterator[Any] = iter(())

    def document(self) -> Node:
        try:
            self.events = yaml.parse(self.text, Loader=yaml.SafeLoader)
            next(self.events)  # the start of the stream
            if isinstance(next(self.events), yaml.StreamEndEvent):
                return Node(None, Place(self.source, 1 if self.numbered else None))
            node = self.node(next(self.events))
            next(self.events)  # the end of the document
            after = next(self.events)
            if not isinstance(after, yaml.StreamEndEvent):
                self.fail(after.start_mark, "a second document ('---') begins here; one file holds one document")
        except yaml.reader.ReaderError as error:
            line = self.text.count("\n", 0, error.position) + 1
            code = error.character if isinstance(error.character, int) else ord(error.character)
            raise ConfigError(f"{self.place_at(line)}: the character U+{code:04X} is not allowed in YAML") from error
        except yaml.MarkedYAMLError as error:
            self.fail(error.problem_mark or error.context_mark, _syntax_message(error))
        return node

    def node(self, event: Any) -> Node:
        place = self.place(event.start_mark)
        if len(self.path) > MAX_DEPTH:
            self.fail(event.start_mark, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if event.tag is not None:
            self.fail(event.start_mark, f"the tag {_short_tag(event.tag)} is not allowed; write the plain value")
        self.count(1, event)
        if isinstance(event, yaml.MappingStartEvent):
            node = Node(self.mapping(), place)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Node(self.sequence(), place)
        else:
            node = Node(resolve(event.value) if event.implicit[0] else event.value, place)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any) -> Node:
        if event.anchor not in self.anchors:
            self.fail(event.start_mark, f"the alias *{event.anchor} has no complete anchor &{event.anchor} before it")
        node = self.anchors[event.anchor]
        size, height = _extent(node)
        self.count(size, event)
        if len(self.path) + height > MAX_DEPTH:
            self.fail(event.start_mark, f"nested deeper than {MAX_DEPTH} levels")
        return node

    def count(self, nodes: int, event: Any) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self.fail(event.start_mark, f"more than {MAX_NODES} values, aliases counted in full")

    def mapping(self) -> dict[str, Node]:
        items: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key, mark = self.key(event), event.start_mark
            self.path.append(key)
            if key in items:
                self.fail(mark, f"is given twice; the first is at {items[key].place}")
            node = self.node(next(self.events))
            items[key] = Node(node.value, self.place(mark))
            self.path.pop()
        return items

    def key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self.fail(event.start_mark, "a key must be text, not a list, a mapping or an alias")
        node = self.node(event)
        if event.implicit[0] and event.value == "<<":
            self.fail(event.start_mark, "merge keys ('<<') are not supported; use _base_")
        if not isinstance(node.value, str):
            self.fail(event.start_mark, f"a key must be text, got {describe(node)}; put it in quotes")
        return node.value

    def sequence(self) -> tuple[Node, ...]:
        items: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            self.path.append(str(len(items)))
            items.append(self.node(event))
            self.path.pop()
        return tuple(items)

    def place(self, mark: Any) -> Place:
        return self.place_at(mark.line + 1)

    def place_at(self, line: int) -> Place:
        return Place(self.source, line if self.numbered else None)

    def fail(self, mark: Any, message: str) -> NoReturn:
        place = self.place(mark) if mark is not None else Place(self.source)
        path = f" {'.'.join(self.path)}:" if self.path else ""
        raise ConfigError(f"{place}:{path} {message}")


def _decode(data: bytes, path: Path) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text (byte 0x{data[error.start]:02x})") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigError(f"{path}:{line}: holds a NUL character; that is no text file")
    return text


def _why_no_file(path: Path) -> str:
    if path.is_dir():
        return "is a folder; give an option file"
    if path.exists():
        return "is not a regular file"
    if not path.parent.is_dir():
        return f"does not exist, and neither does its folder {path.parent}"
    names = [item.name for item in path.parent.iterdir() if item.is_file()]
    near = difflib.get_close_matches(path.name, names, n=1)
    if not near:  # a forgotten or wrong suffix
        near = [name for name in names if Path(name).stem == path.stem and name.endswith((".yml", ".yaml"))]
    return f"does not exist; did you mean {str(path.with_name(near[0]))!r}?" if near else "does not exist"


def _extent(node: Node) -> tuple[int, int]:
    """Return how many values a node holds, itself included, and how many levels lie below it."""
    if not isinstance(node.value, dict | tuple):
        return 1, 0
    children = node.value.values() if isinstance(node.value, dict) else node.value
    extents = [_extent(child) for child in children]
    return 1 + sum(size for size, _ in extents), 1 + max((height for _, height in extents), default=-1)


def _short_tag(tag: str) -> str:
    return "!!" + tag.removeprefix("tag:yaml.org,2002:") if tag.startswith("tag:yaml.org,2002:") else tag


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "not YAML"
    if "'\\t'" in problem:
        problem += " (a tab: indent with spaces)"
    elif "cannot start any token" in problem:
        problem += " (put the value in quotes)"
    elif "mapping values are not allowed" in problem:
        problem += " (a value that holds ': ' needs quotes; or the indentation is wrong)"
    return f"not valid YAML: {problem}"
