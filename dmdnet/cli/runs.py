"""`python -m dmdnet runs [ROOT]`: the runs, how far they are, and how good."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "list the runs below a folder: state, step, best metric, last change"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `runs`."""
    parser.add_argument(
        "root", nargs="?", type=Path, default=Path("experiments"), metavar="ROOT", help="(default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from dmdnet.engine.run_list import HEADER, list_runs

    runs = list_runs(arguments.root)
    rows = [HEADER, *(run.cells() for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    for row in rows if runs else ():
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not runs:
        print(f"{arguments.root}: no runs")
    return 0
