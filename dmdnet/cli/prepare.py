"""`python -m dmdnet prepare INPUT OUTPUT`: a training set out of a folder of photographs."""

from __future__ import annotations

import argparse
import sys

from dmdnet.cli.reporting import INTERRUPTED
from dmdnet.errors import ConfigError

HELP = "make a training set out of a folder of photographs: faces found, aligned, measured, sorted into people"
EPILOG = """\
The same command goes on where it was stopped, and takes in photographs that have come since. OUTPUT holds
faces.manifest (what training reads), images/ (a folder per person), failed.csv (what gave nothing, and why) and
work/ (what is needed to go on; remove it when no photographs will be added). Many machines: start each with another
--shard i/n and the same OUTPUT; the last one makes the table. People, splits and distances can be changed afterwards
with the same command and other options; only the table is made anew then."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `prepare`; their values are checked by the options."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("input", metavar="INPUT", help="folder of photographs: a folder per person, or unsorted")
    parser.add_argument("output", metavar="OUTPUT", help="folder of the training set; made if missing")
    faces = parser.add_argument_group("faces (fixed once OUTPUT is begun)")
    faces.add_argument("--size", type=int, default=512, help="side of the aligned pictures (default %(default)s)")
    faces.add_argument("--face-backend", default="dlib", metavar="NAME", help="dlib (default) or facexlib")
    faces.add_argument(
        "--min-face",
        type=float,
        default=64,
        metavar="PIXELS",
        help="smallest side of a face's aligned square in the photograph (default %(default)s)",
    )
    faces.add_argument("--aligned", action="store_true", help="the pictures are FFHQ-aligned squares already")
    faces.add_argument(
        "--in-place", action="store_true", help="with --aligned: write no pictures, the table names those of INPUT"
    )
    table = parser.add_argument_group("people and table (can be changed afterwards)")
    table.add_argument(
        "--people",
        default="auto",
        choices=("auto", "folders", "innermost", "sort"),
        help="folders: the first folder below INPUT names the person; innermost: the last one; sort: find out who is "
        "who; auto (default): folders when every photograph is in one, else sort",
    )
    table.add_argument(
        "--same-person-distance",
        type=float,
        metavar="D",
        help="faces nearer than this are one person's (default: the back end's; about 0.3 for drawn faces)",
    )
    table.add_argument("--val-share", type=float, default=0.05, help="share of the people (default %(default)s)")
    table.add_argument("--test-share", type=float, default=0.1, help="share of the people (default %(default)s)")
    table.add_argument("--seed", type=int, default=0, help="of the split (default %(default)s)")
    work = parser.add_argument_group("work")
    work.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core; 0: this process)")
    work.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="do part I of N only, from 1")
    work.add_argument(
        "--finish", action="store_true", help="make the table of what is done now, without doing the rest"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prepare, say what came out and what to do next; 1 when nothing came out."""
    from dmdnet.prepare import FaceOptions, TableOptions, prepare
    from dmdnet.prepare.report import describe, waits_for_others

    try:
        summary = prepare(
            arguments.input,
            arguments.output,
            faces=FaceOptions(
                size=arguments.size,
                face_backend=arguments.face_backend,
                min_face=arguments.min_face,
                aligned=arguments.aligned,
                in_place=arguments.in_place,
            ),
            table=TableOptions(
                people=arguments.people,
                same_person_distance=arguments.same_person_distance,
                val_share=arguments.val_share,
                test_share=arguments.test_share,
                seed=arguments.seed,
            ),
            workers=arguments.workers,
            shard=arguments.shard,
            only_finish=arguments.finish,
            show_progress=True,
        )
    except KeyboardInterrupt:
        print("stopped; nothing is lost: the same command goes on where it was", file=sys.stderr)
        return INTERRUPTED
    if summary is None:
        print(waits_for_others(arguments.shard))
        return 0
    print(describe(summary))
    return 0 if summary.faces else 1


def _shard(text: str) -> tuple[int, int]:
    number, slash, shards = text.partition("/")
    if not (slash and number.isascii() and number.isdigit() and shards.isascii() and shards.isdigit()):
        raise argparse.ArgumentTypeError(str(ConfigError(f"{text!r}: i/n is needed, for example 1/4")))
    return int(number), int(shards)
