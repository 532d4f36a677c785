"""`python -m dmdnet bench data`: how fast the data path is on this machine."""

from __future__ import annotations

import argparse

HELP = "measure how fast this machine is"
DATA_HELP = "measure decoding, degradations, the loader, and the batch path on a GPU"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `bench` and of what it measures."""
    kinds = parser.add_subparsers(required=True, metavar="WHAT", dest="what")
    data = kinds.add_parser("data", help=DATA_HELP, description=DATA_HELP, allow_abbrev=False)
    data.add_argument("--json", metavar="FILE", help="also write the figures there, as JSON")
    data.add_argument("-o", "--out", metavar="FILE", help="also write the table there, as Markdown")
    data.add_argument(
        "--quick", action="store_true", help="ten seconds instead of minutes: rough figures from a few pictures"
    )
    data.set_defaults(bench=_run_data)


def run(arguments: argparse.Namespace) -> int:
    """Measure what was asked for."""
    code: int = arguments.bench(arguments)
    return code


def _run_data(arguments: argparse.Namespace) -> int:
    import json
    import sys

    from dmdnet.benchmarks.data import FULL, QUICK, report, run_data_benchmark
    from dmdnet.files import check_writable, write_bytes

    for path in filter(None, (arguments.json, arguments.out)):
        check_writable(path)  # before minutes of work
    extent = QUICK if arguments.quick else FULL
    result = run_data_benchmark(extent, lambda line: print(line, file=sys.stderr))
    text = report(result)
    print(text, end="")
    if arguments.json:
        write_bytes(arguments.json, (json.dumps(result, indent=2) + "\n").encode())
    if arguments.out:
        write_bytes(arguments.out, text.encode())
    return 0
