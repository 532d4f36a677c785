"""`python test.py -opt FILE`: evaluate a network on the data sets of an option file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from dmdnet.cli.option_arguments import add_option_arguments, load
from dmdnet.cli.reporting import reported

HELP = "evaluate a network on the data sets of an option file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `test`."""
    add_option_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, or with --dry-run only build and print."""
    options = load(arguments)
    if arguments.dry_run:
        from dmdnet.engine.benchmark_dry_run import dry_run_benchmark

        dry_run_benchmark(options)
        return 0
    from dmdnet.engine.distributed import processes
    from dmdnet.evaluation.run import run_test

    with processes(options.device, options.dist_params, arguments.launcher) as world:
        run_test(options, device=world.device)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line of test.py, run it, and return the exit code."""
    parser = argparse.ArgumentParser("test.py", description=HELP, allow_abbrev=False)
    add_arguments(parser)
    return reported(run, parser.parse_args(argv))
