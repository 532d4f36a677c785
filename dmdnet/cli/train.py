"""`python train.py -opt FILE`: train, or go on with the run of that name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from dmdnet.cli.option_arguments import add_option_arguments, load
from dmdnet.cli.reporting import reported

HELP = "train a network from an option file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `train`."""
    add_option_arguments(parser)
    parser.add_argument(
        "--auto_resume",
        "--auto-resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on from the last complete state of the run (default); --no-auto_resume refuses an existing run",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, or with --dry-run only build and print."""
    options = load(arguments)
    if arguments.dry_run:
        from dmdnet.engine.dry_run import dry_run

        dry_run(options)
        return 0
    from dmdnet.engine.train import train

    train(options, auto_resume=arguments.auto_resume, launcher=arguments.launcher, restart=arguments.debug)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line of train.py, run it, and return the exit code."""
    parser = argparse.ArgumentParser("train.py", description=HELP, allow_abbrev=False)
    add_arguments(parser)
    return reported(run, parser.parse_args(argv))
