"""`python -m dmdnet published`: what papers print of the sets that can be evaluated here, with source and recipe."""

from __future__ import annotations

import argparse

HELP = "list published numbers of a set, each table with its source, split and recipes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `published`."""
    parser.add_argument("set", nargs="?", help="the set, as `published:` of a data set names it (default: list them)")
    parser.add_argument("--json", action="store_true", help="print JSON, one record per number")


def run(arguments: argparse.Namespace) -> int:
    """Print the sets, or the tables of one."""
    from dmdnet.evaluation.published.listing import as_json, sets_as_text, tables_as_text

    if arguments.json:
        print(as_json(arguments.set))
    else:
        print(tables_as_text(arguments.set) if arguments.set else sets_as_text())
    return 0
