"""`python -m dmdnet fid-statistics FOLDER -o FILE`: what FID and KID compare with, made once."""

from __future__ import annotations

import argparse
import sys

HELP = "save the statistics of a folder of pictures for FID and KID"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `fid-statistics`."""
    parser.add_argument("folder", metavar="FOLDER", help="pictures; those in folders below count too")
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="FILE",
        help="where to, for example ffhq70k-512.safetensors: its name stands in the recipe, fid@clean/ffhq70k-512",
    )
    parser.add_argument("--weights", metavar="FOLDER", help="the weights folder (default: weights, or $DMDNET_WEIGHTS)")


def run(arguments: argparse.Namespace) -> int:
    """Look at every picture and write the file."""
    from pathlib import Path

    import torch

    from dmdnet.features.inception import load_inception
    from dmdnet.files import check_writable
    from dmdnet.metrics.set_statistics import folder_pictures, folder_statistics, write_statistics

    def progress(done: int, count: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{done} of {count}", end="\n" if done == count else "", file=sys.stderr, flush=True)

    folder = Path(arguments.folder)
    check_writable(arguments.out)
    folder_pictures(folder)
    network = load_inception(arguments.weights).to("cuda" if torch.cuda.is_available() else "cpu")
    statistics = folder_statistics(folder, network, progress)
    path = write_statistics(arguments.out, statistics)
    print(f"{path}: {statistics.count} pictures; in options: against: {path}")
    return 0
