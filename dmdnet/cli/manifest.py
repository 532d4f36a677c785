"""`python -m dmdnet manifest FILE`: what is in a manifest, for people."""

from __future__ import annotations

import argparse

from dmdnet.errors import ConfigError

HELP = "show what is in a manifest: faces, people, splits, what is known; write it as a CSV file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `manifest`."""
    parser.add_argument("file", help="the manifest, FOLDER/faces.manifest")
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="also print the first N faces")
    parser.add_argument("--csv", metavar="FILE", help="write all but landmarks and embeddings as a CSV file")
    parser.add_argument("--verify", action="store_true", help="compare the whole file with its digest (SHA-256)")


def run(arguments: argparse.Namespace) -> int:
    """Print, and write the CSV file when one is asked for."""
    from pathlib import Path

    from dmdnet.data.manifest import read_manifest, read_metadata
    from dmdnet.data.manifest.inspection import describe_manifest, write_csv
    from dmdnet.data.storage import DiskStorage

    if arguments.rows < 0:
        raise ConfigError(f"manifest: --rows {arguments.rows}: 0 or more")
    # its pictures need not be here to look at it
    table = read_manifest(arguments.file, DiskStorage(Path(arguments.file).parent), verify_digest=arguments.verify)
    print(describe_manifest(table, read_metadata(arguments.file), arguments.rows))
    if arguments.verify:
        print("the file is as it was written")
    if arguments.csv is not None:
        print(f"wrote {write_csv(table, arguments.csv)}")
    return 0
