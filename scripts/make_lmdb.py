"""Write a folder of pictures into an LMDB, in the form that BasicSR reads and writes; or verify one.

    python scripts/make_lmdb.py datasets/celebref_hq/images datasets/celebref_hq/images.lmdb
    python scripts/make_lmdb.py datasets/celebref_hq/images.lmdb --verify
    python scripts/make_lmdb.py datasets/prepared/faces.manifest datasets/prepared.lmdb

The files' bytes are kept as they are. An option file then names the LMDB where it named the folder
(dataroot_gt: datasets/celebref_hq/images.lmdb); landmarks stay files beside it. Of a manifest the pictures that it
names are taken, and the option file names both (manifest: FILE, dataroot: datasets/prepared.lmdb).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dmdnet.data.manifest import SUFFIX, read_manifest
from dmdnet.data.storage import ListedStorage, LMDBStorage, Storage, open_storage, verify, write_lmdb
from dmdnet.data.storage.natural import natural_key
from dmdnet.data.storage.parallel import Progress as OnProgress
from dmdnet.errors import DataError, DMDNetError
from dmdnet.wording import counted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of pictures, an LMDB, or a manifest")
    parser.add_argument("target", type=Path, nargs="?", metavar="TARGET.lmdb", help="LMDB to make")
    parser.add_argument(
        "--compress-level",
        type=int,
        choices=range(10),
        metavar="0..9",
        help="decode every picture and store it as PNG of this level (default: keep the files as they are)",
    )
    parser.add_argument("--workers", type=int, default=4, help="pictures at a time (default %(default)s)")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read and decode everything and hold it against the checksums: TARGET after it is written, or SOURCE",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, or the error's exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.target is None and not arguments.verify:
        parser.error("name a TARGET.lmdb to make, or --verify SOURCE")
    if arguments.workers < 1:
        parser.error("--workers: at least 1")
    try:
        storage = _opened(arguments.source)
        if arguments.target is not None:
            with _bar("writing") as progress:
                storage = write_lmdb(
                    storage,
                    arguments.target,
                    compress_level=arguments.compress_level,
                    workers=arguments.workers,
                    progress=progress,
                )
            print(f"{arguments.source} -> {arguments.target}: {counted(len(storage.list_keys()), 'picture')}")
        if arguments.verify:
            _verify(storage, arguments.workers)
    except DMDNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _opened(path: Path) -> Storage:
    """Return the pictures at `path`: of a folder or LMDB all, of a manifest those that it names."""
    if path.suffix != SUFFIX:
        return open_storage(path)
    table = read_manifest(path)
    keys = {key for column in ("picture", "degraded") for key in table.text.get(column, ()) if key}
    return ListedStorage(table.storage, sorted(keys, key=natural_key), str(path))


def _verify(storage: Storage, workers: int) -> None:
    if isinstance(storage, LMDBStorage):
        storage.check()
    with _bar("verifying") as progress:
        defects = list(verify(storage, workers=workers, progress=progress))
    for defect in defects:
        print(defect, file=sys.stderr)
    if defects:
        raise DataError(f"{storage.where('')}: {len(defects)} pictures cannot be used; they are listed above")
    print(f"{storage.where('')}: {counted(len(storage.list_keys()), 'picture')}, all of them whole")


@contextmanager
def _bar(text: str) -> Iterator[OnProgress]:
    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


if __name__ == "__main__":
    sys.exit(main())
