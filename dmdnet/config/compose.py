"""Compose one tree of options from a file, the files it is based on, and the overrides of the command line.

`_base_: other.yml` (or a list of files, later ones win) at the top of a file names what it starts from, relative to
the file itself. Then, from the base to the file to the overrides:

- mappings are merged key by key; everything else, lists too, is replaced;
- `key: ~` takes an inherited value away: it becomes null where null is a value, else as if it had never been given;
- where a component's `type` changes, the options that the new type does not accept are dropped; shared ones stay.

An override is `key.path=value`: the value is read by the rules of the file, numbers in the path count list entries
from 0 (`train.losses.0.loss_weight=2`). BasicSR's `key:path=value` means the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dmdnet.config.tree import Node, Place, describe
from dmdnet.config.yaml_reader import parse_yaml, read_yaml
from dmdnet.errors import ConfigError

BASE = "_base_"
MODEL_TYPE = "model_type"
MAX_FILES = 64


def compose(path: str | Path, overrides: Sequence[str] = ()) -> Node:
    """Return the merged tree of a file, its bases and the overrides, every value with its place.

    Raises:
        ConfigError: a file is missing or no strict YAML, the bases form a circle, or an override has no place.
    """
    tree = _read(Path(path), ())
    for override in overrides:
        tree = apply_override(tree, override)
    return tree


def merge(base: Node, over: Node) -> Node:
    """Return `base` with `over` laid upon it, by the rules at the top of this module."""
    if over.value is None:
        return replace(over, carried=True)
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    retyped = "type" in base.value and "type" in over.value and base.value["type"].value != over.value["type"].value
    items = {key: _carry(node) if retyped else node for key, node in base.value.items()}
    for key, node in over.value.items():
        items[key] = merge(items[key], node) if key in items else node
    # what a mapping lacks is the fault of the last file, or of the override that gave it another type
    return Node(items, over.place if retyped or over.place.line is not None else base.place)


def apply_override(tree: Node, override: str) -> Node:
    """Return `tree` with one `key.path=value` laid upon it.

    Raises:
        ConfigError: it has no `=`, its value is no YAML, or its path leads past a list's end or into a scalar.
    """
    key, equals, text = override.partition("=")
    keys = [part.strip() for part in re.split(r"[.:]", key)]
    source = f"override '{override}'"
    if not equals or not all(keys):
        raise ConfigError(f"{source}: expected key.path=value, for example train.optim_g.lr=1e-4")
    if BASE in keys:
        raise ConfigError(f"{source}: _base_ belongs at the top of a file")
    value = parse_yaml(text, source, numbered=False)
    return _put(tree, tuple(_long_form(keys)), value, done=())


def _read(path: Path, readers: tuple[Path, ...]) -> Node:
    tree = read_yaml(path)
    assert isinstance(tree.value, dict), "read_yaml returns mappings"
    items = dict(tree.value)
    bases = items.pop(BASE, None)
    own = _expand_model_type(Node(items, tree.place))
    if bases is None:
        return own
    chain = (*readers, path.resolve())
    result: Node | None = None
    for name, place in _base_names(bases):
        base = Path(os.path.normpath(path.parent / name))
        if base.resolve() in chain:
            raise ConfigError(f"{place}: {BASE}: {name} is based on this file; that is a circle")
        if len(chain) > MAX_FILES:
            raise ConfigError(f"{place}: {BASE}: more than {MAX_FILES} files are based on each other")
        try:
            below = _read(base, chain)
        except ConfigError as error:
            if base.is_file():
                raise
            raise ConfigError(f"{place}: {BASE}: {error}") from error
        result = below if result is None else merge(result, below)
    return own if result is None else merge(result, own)


def _base_names(node: Node) -> list[tuple[str, Place]]:
    entries = node.value if isinstance(node.value, tuple) else (node,)
    for entry in entries:
        if not isinstance(entry.value, str) or not entry.value:
            raise ConfigError(
                f"{entry.place}: {BASE}: wants the name of a file or a list of names, got {describe(entry)}"
            )
    return [(str(entry.value), entry.place) for entry in entries]


def _expand_model_type(tree: Node) -> Node:
    """Replace BasicSR's `model_type: X` by `model: {type: X}`."""
    assert isinstance(tree.value, dict), "the top of a file is a mapping"
    if MODEL_TYPE not in tree.value:
        return tree
    items = dict(tree.value)
    short = items.pop(MODEL_TYPE)
    if "model" in items:
        where = items["model"].place
        raise ConfigError(
            f"{short.place}: {MODEL_TYPE}: is the short form of model.type; model is given too, at {where}"
        )
    return Node({"model": Node({"type": short}, short.place), **items}, tree.place)


def _long_form(keys: list[str]) -> list[str]:
    return ["model", "type"] if keys == [MODEL_TYPE] else keys


def _put(node: Node, keys: tuple[str, ...], value: Node, done: tuple[str, ...]) -> Node:
    """Return `node` with `value` at `keys` below it; `done` is the path so far, for messages."""
    if not keys:
        return merge(node, value)
    key, path = keys[0], ".".join(done)
    if isinstance(node.value, tuple):
        count = len(node.value)
        if not re.fullmatch(r"[0-9]{1,9}", key) or int(key) >= count:
            raise ConfigError(
                f"{value.place}: {path} is a list of {count}; its entries are {_indices(count)}, not {key!r}"
            )
        at = int(key)
        changed = _put(node.value[at], keys[1:], value, (*done, key))
        return replace(node, value=(*node.value[:at], changed, *node.value[at + 1 :]))
    if node.value is not None and not isinstance(node.value, dict):
        raise ConfigError(f"{value.place}: {path} is {describe(node)}, not a mapping; it has no {key!r}")
    items = node.value or {}
    if len(keys) == 1 or key not in items:
        for name in reversed(keys):
            value = Node({name: value}, value.place)
        return merge(replace(node, value=items), value)
    return replace(node, value={**items, key: _put(items[key], keys[1:], value, (*done, key))})


def _indices(count: int) -> str:
    return f"numbered 0 to {count - 1}" if count > 1 else "numbered 0" if count else "none"


def _carry(node: Node) -> Node:
    """Return `node` and all below it marked as carried over from another type."""
    if isinstance(node.value, dict):
        return Node({key: _carry(item) for key, item in node.value.items()}, node.place, carried=True)
    if isinstance(node.value, tuple):
        return Node(tuple(_carry(item) for item in node.value), node.place, carried=True)
    return replace(node, carried=True)
