"""`python -m dmdnet check-data`: whether training, validation and test data are apart, whole, and usable."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING

from dmdnet.cli.option_arguments import add_overrides
from dmdnet.errors import ConfigError

if TYPE_CHECKING:
    from dmdnet.data.parts import Check, Part

HELP = "check that training, validation and test data share nobody and nothing, and that all files are there"

EXIT_FINDINGS = 1
MOST_SHOWN = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `check-data`."""
    parser.add_argument("manifest", nargs="?", metavar="MANIFEST", help="a manifest: its splits are compared")
    parser.add_argument("-opt", "--opt", metavar="FILE", help="an option file: its data sets are compared")
    add_overrides(parser)
    parser.add_argument("--read", action="store_true", help="also decode every picture and read its landmarks")
    parser.add_argument("--checksums", action="store_true", help="also compare every file with its recorded checksum")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that read files (default 2)")
    parser.add_argument(
        "--all", action="store_true", help=f"print every finding, not the first {MOST_SHOWN} of a check"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check, print what was checked and what was found; return 1 when something was."""
    from dmdnet.data.check_copies import near_duplicates
    from dmdnet.data.checks import compare_quickly, wrong_lists

    if (arguments.manifest is None) == (arguments.opt is None):
        raise ConfigError("check-data: give either a manifest or -opt FILE")
    if arguments.workers < 0:
        raise ConfigError(f"check-data: --workers {arguments.workers}: 0 (this process) or more")
    if arguments.overrides and arguments.opt is None:
        raise ConfigError("check-data: --set changes the options of an option file; give -opt FILE")
    sets = _of_options(arguments.opt, arguments.overrides) if arguments.opt else _of_manifest(arguments.manifest)
    found = 0
    for name, parts in sets.items():
        if not parts:
            print(f"{name}: its type does not say which pictures it uses; nothing could be checked")
        for part in parts:
            print(f"{name}: {len(part.selection.targets)} targets of {part.origin}")
            found += _show([wrong_lists(part), *_file_checks(part, arguments)], arguments.all)
    compared = [(one, other) for one in sets for other in sets if _judges(one, other)]
    for one, other in compared:
        for part, judge in product(sets[one], sets[other]):
            print(f"{one} and {other}: {part.origin} and {judge.origin}")
            found += _show([*compare_quickly(part, judge), near_duplicates(part, judge)], arguments.all)
    if not compared:
        print("no training set and test set to compare")
    print(f"{found} finding(s)" if found else "nothing found")
    return EXIT_FINDINGS if found else 0


def _judges(one: str, other: str) -> bool:
    """Return whether data set `other` judges what is trained on, or chosen by, `one`.

    Test sets are not compared with each other: several may hold the same faces, degraded otherwise.
    """
    return _stage(one) < _stage(other)


def _stage(name: str) -> int:
    """Return the place of a data set in training (0), choosing by its figures (1), judging (2)."""
    role = name.split(".", 1)[-1]
    return 0 if role.startswith("train") else 1 if role.startswith("val") else 2


def _of_options(path: str, overrides: Sequence[str]) -> dict[str, tuple[Part, ...]]:
    from dmdnet.config import load_options
    from dmdnet.data.loading import build_dataset

    options = load_options(path, overrides)
    return {
        f"datasets.{key}": build_dataset(
            entry, seed=options.manual_seed, phase="train" if key.startswith("train") else "test"
        ).parts
        for key, entry in options.datasets.items()
    }


def _of_manifest(path: str) -> dict[str, tuple[Part, ...]]:
    from dmdnet.data.manifest import read_manifest
    from dmdnet.data.parts import parts_of_splits

    return {name: (part,) for name, part in parts_of_splits(read_manifest(path, verify_digest=True)).items()}


def _file_checks(part: Part, arguments: argparse.Namespace) -> Iterator[Check]:
    from dmdnet.data.check_files import files_are_good, files_exist

    yield files_exist(part)
    if arguments.read or arguments.checksums:
        with _progress(len(part.selection.used())) as advance:
            yield from files_are_good(
                part, read=arguments.read, checksums=arguments.checksums, workers=arguments.workers, progress=advance
            )


def _show(checks: Sequence[Check], everything: bool) -> int:
    """Print a line for each check and one for each finding; return how many there are."""
    for check in checks:
        state = "not checked" if check.left_out else f"{len(check.findings)} FOUND" if check.findings else "ok"
        detail = check.left_out or f"{check.count:,} compared"
        print(f"  {state:<12} {check.what:<32} {detail}")
        shown = check.findings if everything else check.findings[:MOST_SHOWN]
        for finding in shown:
            print(f"    {finding}")
        if len(shown) < len(check.findings):
            print(f"    ... and {len(check.findings) - len(shown)} more (--all)")
    return sum(len(check.findings) for check in checks)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; yield what moves it on."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=total)
        yield lambda count: bar.advance(task, count)
