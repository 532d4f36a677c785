"""The registry of layouts and what they share: listing pictures the same way on every machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from dmdnet.data.records import FaceRecord
from dmdnet.errors import DataError
from dmdnet.images import IMAGE_SUFFIXES
from dmdnet.registry import Registry

LAYOUTS = Registry("layout", "dmdnet.data.layouts")


class Layout(Protocol):
    """Where a data set's pictures, people and landmarks are."""

    def records(self) -> list[FaceRecord]:
        """Return all faces in an order that depends on their names only.

        Raises:
            DataError: the root is missing or holds no picture in this layout; the message shows the layout.
        """
        ...


def image_files(root: Path) -> Iterator[Path]:
    """Yield the pictures below `root` by their suffix, in an unspecified order; hidden files and folders are left out.

    Links to folders are followed, since large sets are often linked into place.
    """
    for folder, subfolders, files in os.walk(root, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                yield Path(folder, name)


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key for relative names in which 2.png comes before 10.png and folders stay together."""
    return tuple(_part_key(part) for part in name.split("/"))


def _part_key(part: str) -> tuple[int, int, str]:
    stem = part.rsplit(".", 1)[0]
    return (0, int(stem), part) if stem.isascii() and stem.isdigit() else (1, 0, part)


def require_folder(root: Path, option: str, layout: str) -> None:
    """Raise DataError when `root` is not a folder; `layout` tells what is expected there."""
    if not root.is_dir():
        reason = "is a file, a folder is needed" if root.exists() else "does not exist"
        raise DataError(f"{option}: {root} {reason}. {layout}")


def require_records(records: list[FaceRecord], root: Path, option: str, layout: str) -> list[FaceRecord]:
    """Return the records, sorted; raise DataError when there is none."""
    if not records:
        raise DataError(f"{option}: {root} holds no picture in this layout. {layout}")
    return sorted(records, key=lambda record: natural_key(record.name))
