"""`dmdnet COMMAND`, also `python -m dmdnet COMMAND`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from dmdnet import __version__
from dmdnet.cli import (
    bench,
    check_data,
    degrade,
    fid_statistics,
    manifest,
    prepare,
    published,
    restore,
    runs,
    schema,
    test,
    train,
    weights,
)
from dmdnet.cli.reporting import reported

COMMANDS = {
    "train": train,
    "test": test,
    "runs": runs,
    "restore": restore,
    "prepare": prepare,
    "check-data": check_data,
    "manifest": manifest,
    "degrade": degrade,
    "fid-statistics": fid_statistics,
    "bench": bench,
    "published": published,
    "schema": schema,
    "weights": weights,
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser("dmdnet", description="Reference-based face restoration.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"dmdnet {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.HELP, allow_abbrev=False)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse a command line, run its command, and return the exit code."""
    arguments = build_parser().parse_args(argv)
    return reported(arguments.run, arguments)
