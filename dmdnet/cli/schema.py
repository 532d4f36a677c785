"""`python -m dmdnet schema`: the JSON schema of option files, for editors."""

from __future__ import annotations

import argparse
import sys

HELP = "print the JSON schema of option files, for editors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `schema`."""
    parser.add_argument("-o", "--out", metavar="FILE", help="write it there instead of printing it")


def run(arguments: argparse.Namespace) -> int:
    """Print or write the schema."""
    from dmdnet.config.json_schema import schema_text
    from dmdnet.files import write_bytes

    text = schema_text()
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        print(f"wrote {write_bytes(arguments.out, text.encode())}")
    return 0
