"""From an option file to validated options, and back to text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from dmdnet.config.checks import findings
from dmdnet.config.compose import compose
from dmdnet.config.options import Options
from dmdnet.config.problems import Loc, Problem, config_error, dotted, locate, problems_of
from dmdnet.config.tree import Node
from dmdnet.config.yaml_reader import resolve
from dmdnet.registry import plain

DEBUG_TOTAL_ITER = 16


def load_options(path: str | Path, overrides: Sequence[str] = (), debug: bool = False) -> Options:
    """Return the options of a file, with its `_base_` files and `key.path=value` overrides, validated.

    Args:
        path: the option file.
        overrides: as after `--set` (`train.total_iter=100`) or BasicSR's `--force_yml` (`train:total_iter=100`).
        debug: shorten the run as BasicSR's `--debug` does; see `for_debugging`.

    Raises:
        ConfigError: one error that lists every problem as `file:line: path: message`.
    """
    options = validate(compose(path, overrides))
    return for_debugging(options) if debug else options


def validate(tree: Node) -> Options:
    """Return the options of a composed tree.

    Values that a merge carried over from another `type`, and nulls that take away what they cannot replace, are
    dropped where they do not fit.

    Raises:
        ConfigError: as `load_options`.
    """
    while True:
        try:
            options = Options.model_validate(tree.plain())
        except ValidationError as error:
            problems = problems_of(error, tree)
            carried = [path for path in problems if path and _is_carried(tree, path)]
            if not carried:
                raise config_error(list(problems.values())) from None
            tree = _without(tree, carried[0])
            continue
        found = [Problem(locate(tree, path).place, dotted(path), text) for path, text in findings(options)]
        if found:
            raise config_error(found)
        return options


def for_debugging(options: Options) -> Options:
    """Return the options of a short run under its own name, `debug_<name>`, that logs every step and saves often."""
    changes: dict[str, Any] = {"name": f"debug_{options.name}"}
    changes["logger"] = options.logger.model_copy(update={"print_freq": 1, "save_checkpoint_freq": 8})
    if options.val.val_freq is not None:
        changes["val"] = options.val.model_copy(update={"val_freq": 8})
    if options.train is not None:
        total = min(options.train.total_iter, DEBUG_TOTAL_ITER)
        changes["train"] = options.train.model_copy(update={"total_iter": total})
    return options.model_copy(update=changes)


def to_yaml(options: Options) -> str:
    """Return the options, defaults included, as a file that `load_options` reads back to equal options."""
    return yaml.dump(plain(options), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes where our reader would take the plain word for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None if isinstance(resolve(text), str) and text != "<<" else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _is_carried(tree: Node, path: Loc) -> bool:
    return locate(tree, path).carried


def _without(tree: Node, path: Loc) -> Node:
    """Return `tree` without the value at `path`, or without the last one on the way that exists."""
    if isinstance(tree.value, dict) and str(path[0]) in tree.value:
        key = str(path[0])
        below = tree.value[key]
        items = dict(tree.value)
        if len(path) == 1 or not _has(below, path[1]):
            del items[key]
        else:
            items[key] = _without(below, path[1:])
        return Node(items, tree.place, tree.carried)
    if isinstance(tree.value, tuple) and isinstance(path[0], int) and path[0] < len(tree.value):
        at = path[0]
        below = tree.value[at]
        middle = () if len(path) == 1 or not _has(below, path[1]) else (_without(below, path[1:]),)
        return Node((*tree.value[:at], *middle, *tree.value[at + 1 :]), tree.place, tree.carried)
    return tree


def _has(node: Node, key: str | int) -> bool:
    return locate(node, (key,)) is not node
