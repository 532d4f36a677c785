"""`python -m dmdnet runs [ROOT]`: the runs, how far they are, and how good; `--report NAME`: the page of one."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "list the runs below a folder: state, step, best metric, last change"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `runs`."""
    parser.add_argument(
        "root", nargs="?", type=Path, default=Path("experiments"), metavar="ROOT", help="(default: %(default)s)"
    )
    parser.add_argument("--report", metavar="NAME", help="write the page of this run, report.html in its folder")


def run(arguments: argparse.Namespace) -> int:
    """Print the table, or write a page."""
    from dmdnet.engine.run_list import HEADER, list_runs

    if arguments.report is not None:
        from dmdnet.engine.run_report import write_run_report

        print(write_run_report(arguments.root / arguments.report))
        return 0

    runs = list_runs(arguments.root)
    rows = [HEADER, *(run.cells() for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    for row in rows if runs else ():
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not runs:
        print(f"{arguments.root}: no runs")
    return 0
