"""`python -m dmdnet weights`: the weights that are not shipped, and which of them are there."""

from __future__ import annotations

import argparse

HELP = "list the weights that are not shipped: file, source, licence, and whether it is there"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `weights`."""
    parser.add_argument("folder", nargs="?", help="the weights folder (default: DMDNET_WEIGHTS, else weights)")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from dmdnet.weights import describe_weights

    print(describe_weights(arguments.folder))
    return 0
