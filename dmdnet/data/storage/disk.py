"""Pictures as files below a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from dmdnet.data.storage.keys import check_key
from dmdnet.data.storage.natural import natural_key
from dmdnet.errors import DataError
from dmdnet.files import read_file
from dmdnet.image_decoding import IMAGE_SUFFIXES


class DiskStorage:
    """The files below `root`. Links are followed, since large sets are often linked into place.

    Hidden files and folders are not listed. Nothing is ever written.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def read(self, key: str) -> bytes:
        """Return the whole file of a key.

        Raises:
            DataError: the key leads out of the root, or the file is missing or cannot be read.
        """
        path = self.root / check_key(key, self.root)
        if _never_ends(path):
            raise DataError(f"{path}: is no file but a pipe, a socket or a device; remove it")
        return read_file(path)

    def list_keys(self) -> list[str]:
        """Return the pictures below the root by their suffix, in natural order.

        Raises:
            DataError: a folder cannot be listed, links lead round in a circle, or a name is no text.
        """
        keys = list(_pictures(self.root, "", os.path.realpath(self.root)))
        _check_text(keys, self.root)
        return sorted(keys, key=natural_key)

    def where(self, key: str) -> str:
        """Return the full path of a key."""
        return str(self.root / key)

    def checksum(self, key: str) -> int | None:
        """Return None: a folder records no checksums."""
        return None


def _never_ends(path: Path) -> bool:
    """Return whether reading a path could wait for ever, as it does for a pipe that nobody writes to."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # whoever reads it says what is wrong with it
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _pictures(folder: str | os.PathLike[str], prefix: str, real: str) -> Iterator[str]:
    """Yield the pictures below `folder`, whose path without links is `real`."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror or error}") from error
    for entry in entries:
        if entry.name[0] == ".":
            continue
        if entry.is_dir():
            below = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(real, entry.name)
            if entry.is_symlink() and os.path.commonpath([below, real]) == below:
                raise DataError(f"{entry.path}: links back to {below}, in which it lies; remove the link")
            yield from _pictures(entry.path, f"{prefix}{entry.name}/", below)
        elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:
            yield f"{prefix}{entry.name}"


def _check_text(keys: list[str], root: Path) -> None:
    try:
        "".join(keys).encode()
    except UnicodeEncodeError as error:
        bad = next(key for key in keys if any("\ud800" <= letter <= "\udfff" for letter in key))
        raise DataError(f"{root}: the name {bad!r} is not valid UTF-8; rename it") from error
