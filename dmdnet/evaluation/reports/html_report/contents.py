"""A checksum of the data that numbers are of: of every file that a set's pictures are made from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 20_000_000_000  # a minute of reading; more is not worth the wait at the end of a run
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Contents:
    """How many files a set has, their size, and their checksum, or why there is none."""

    files: int
    size: int
    sha256: str
    note: str = ""


def contents_of(paths: Iterable[str], most_bytes: int = MOST_BYTES) -> Contents:
    """Return the checksum of files: SHA-256 of the sorted SHA-256 of each, one a line.

    It depends neither on where the files lie nor on their names, so that it tells whether two people had the same
    pictures. A picture in an LMDB counts as its database; a file that is missing counts as such.
    """
    files = sorted({_file(path) for path in paths})
    size = sum(_size(path) for path in files)
    if size > most_bytes:
        return Contents(len(files), size, "", f"not computed: the files have {size / 1e9:,.0f} GB")
    lines = sorted(_sha256(path) for path in files)
    return Contents(len(files), size, hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest())


def _file(path: str) -> str:
    inside = next((parent / "data.mdb" for parent in Path(path).parents if parent.suffix == ".lmdb"), None)
    return path if inside is None else str(inside)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _sha256(path: str) -> str:
    """Return the checksum of a file, or a word for one that cannot be read: the report counts those anyway."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except (OSError, ValueError):
        return "unreadable"
    return digest.hexdigest()
