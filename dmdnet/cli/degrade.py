"""`python -m dmdnet degrade SOURCE OUT --preset x4 --seed 0`: write a fixed test set."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HELP = "write a fixed test set: aligned faces, degraded once, the same to the last byte every time"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `degrade`."""
    parser.add_argument(
        "source", metavar="SOURCE", help="aligned faces: a folder, a folder per person, NAME.lmdb or NAME.manifest"
    )
    parser.add_argument("out", metavar="OUT", help="the folder to make: gt/, lq/, faces.manifest, provenance.json")
    parser.add_argument("--preset", required=True, metavar="NAME", help="the degradations, for example x4 or gfpgan")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of their parameters (default: 0)")
    parser.add_argument("--size", type=int, default=512, metavar="N", help="side of the pictures (default: 512)")
    parser.add_argument("--layout", metavar="NAME", help="how SOURCE lies, for example FFHQLayout (default: see above)")
    parser.add_argument("--split", choices=("train", "val", "test"), help="only the faces of this split")
    parser.add_argument(
        "--missing-landmarks",
        choices=("error", "template"),
        default="error",
        help="a face on which no landmarks are found stops (error, default) or gets the mean ones (template)",
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--verify", action="store_true", help="make the set again and compare it with OUT")


def run(arguments: argparse.Namespace) -> int:
    """Write or verify the set."""
    from dmdnet.data.test_set_pictures import Recipe
    from dmdnet.data.test_set_source import check_apart, open_source
    from dmdnet.data.test_sets import make_test_set, verify_test_set

    recipe = Recipe(arguments.preset, arguments.seed, arguments.size, arguments.missing_landmarks)
    check_apart(arguments.source, arguments.out)
    source = open_source(arguments.source, layout=arguments.layout, split=arguments.split)

    def progress(done: int, count: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{done} of {count}", end="\n" if done == count else "", file=sys.stderr, flush=True)

    with _exit_on_sigterm():
        if arguments.verify:
            files = verify_test_set(source, arguments.out, recipe, workers=arguments.workers, progress=progress)
            print(f"{arguments.out}: all {files} files are the same")
        else:
            print(make_test_set(source, arguments.out, recipe, workers=arguments.workers, progress=progress))
    return 0


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does: what is half made is removed on the way out."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
