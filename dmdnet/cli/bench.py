"""`python -m dmdnet bench`: how fast the data path, a training step and the metrics are on this machine."""

from __future__ import annotations

import argparse
from typing import Any

from dmdnet.cli.option_arguments import add_option_file, load

HELP = "measure how fast this machine is"
TRAIN_HELP = "measure a training step by an option file: each switch for speed alone, and all together"
METRICS_HELP = "measure the metrics against a loop over pictures of the libraries that have them"
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
    metrics = kinds.add_parser("metrics", help=METRICS_HELP, description=METRICS_HELP, allow_abbrev=False)
    metrics.add_argument("--pictures", type=int, default=200, metavar="N", help="how many (default: 200)")
    metrics.add_argument("--size", type=int, default=512, metavar="N", help="their side in pixels (default: 512)")
    metrics.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of which to take the median (3)")
    metrics.add_argument("--threads", type=int, metavar="N", help="threads of torch (default: one a core)")
    metrics.add_argument("--json", metavar="FILE", help="also write the figures there, as JSON")
    metrics.add_argument("-o", "--out", metavar="FILE", help="also write the table there, as Markdown")
    metrics.set_defaults(bench=_run_metrics)
    steps = kinds.add_parser("train", help=TRAIN_HELP, description=TRAIN_HELP, allow_abbrev=False)
    add_option_file(steps)
    steps.add_argument("--iterations", type=int, default=20, metavar="N", help="steps of each way (default 20)")
    steps.add_argument("--without", nargs="+", default=[], metavar="NAME", help='leave ways out, as "compile"')
    steps.add_argument("--json", metavar="FILE", help="also write the figures there, as JSON")
    steps.add_argument("-o", "--out", metavar="FILE", help="also write the table there, as Markdown")
    steps.set_defaults(bench=_run_train)


def run(arguments: argparse.Namespace) -> int:
    """Measure what was asked for."""
    code: int = arguments.bench(arguments)
    return code


def _run_data(arguments: argparse.Namespace) -> int:
    from dmdnet.benchmarks.data import FULL, QUICK, report, run_data_benchmark

    _check_writable(arguments)
    return _write(arguments, result := run_data_benchmark(QUICK if arguments.quick else FULL, _say), report(result))


def _run_metrics(arguments: argparse.Namespace) -> int:
    from dmdnet.benchmarks.metrics import Extent, report, run_metrics_benchmark

    _check_writable(arguments)
    extent = Extent(
        pictures=max(arguments.pictures, 1),
        size=max(arguments.size, 64),
        rounds=max(arguments.rounds, 1),
        threads=arguments.threads,
    )
    return _write(arguments, result := run_metrics_benchmark(extent, _say), report(result))


def _run_train(arguments: argparse.Namespace) -> int:
    from dmdnet.benchmarks.train import report, run_train_benchmark

    options = load(arguments)
    _check_writable(arguments)
    result = run_train_benchmark(options, max(arguments.iterations, 1), tuple(arguments.without), _say)
    return _write(arguments, result, report(result))


def _say(line: str) -> None:
    import sys

    print(line, file=sys.stderr)


def _check_writable(arguments: argparse.Namespace) -> None:
    from dmdnet.files import check_writable

    for path in filter(None, (arguments.json, arguments.out)):
        check_writable(path)  # before minutes of work


def _write(arguments: argparse.Namespace, result: dict[str, Any], text: str) -> int:
    import json

    from dmdnet.files import write_bytes

    print(text, end="")
    if arguments.json:
        write_bytes(arguments.json, (json.dumps(result, indent=2) + "\n").encode())
    if arguments.out:
        write_bytes(arguments.out, text.encode())
    return 0
