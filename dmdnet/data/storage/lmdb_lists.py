"""The text files beside an LMDB's data: BasicSR's `meta_info.txt`, and our `checksums.txt`.

A line of meta_info is `00001/1.png (512,512,3) 1`: name, height, width, channels, PNG compression level. A line of
checksums is `00001/1.png 1c291ca3`: name and CRC-32 of the stored bytes; other software never looks at it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dmdnet.errors import DataError

META_INFO, CHECKSUMS = "meta_info.txt", "checksums.txt"
_META_LINE = re.compile(r"(.+) \((\d+),\s?(\d+),\s?(\d+)\) (\d+)")
_CHECKSUM_LINE = re.compile(r"(.+) ([0-9a-f]{8})")
_REMEDY = "make the LMDB again from its pictures: python scripts/make_lmdb.py FOLDER NAME.lmdb"


@dataclass(frozen=True)
class MetaLine:
    """One picture of an LMDB: its name with suffix, shape (height, width, channels), and PNG compression level."""

    name: str
    shape: tuple[int, int, int]
    compress_level: int

    def __str__(self) -> str:
        height, width, channels = self.shape
        return f"{self.name} ({height},{width},{channels}) {self.compress_level}"


def lmdb_key(name: str) -> str:
    """Return the LMDB's key of a name: without its suffix, as BasicSR has it."""
    return os.path.splitext(name)[0]


def checksum_line(name: str, checksum: int) -> str:
    """Return the line of a picture in checksums.txt, without its end."""
    return f"{name} {checksum:08x}"


def read_names(folder: Path) -> list[str]:
    """Return the names in meta_info, in its order.

    Raises:
        DataError: it is missing, no text, or has a line of another form.
    """
    return [match[1] for match in _lines(folder / META_INFO, _META_LINE, "name.png (height,width,channels) level")]


def read_checksums(folder: Path) -> dict[str, int] | None:
    """Return the CRC-32 by LMDB key, None where there is no such file.

    Raises:
        DataError: it cannot be read, or has a line of another form.
    """
    path = folder / CHECKSUMS
    if not path.exists():
        return None
    return {lmdb_key(match[1]): int(match[2], 16) for match in _lines(path, _CHECKSUM_LINE, "name.png crc32")}


def _lines(path: Path, pattern: re.Pattern[str], form: str) -> Iterator[re.Match[str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file, so its pictures cannot be listed; {_REMEDY}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}; {_REMEDY}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if match := pattern.fullmatch(line.rstrip("\r")):
            yield match
        elif line.strip():
            raise DataError(f"{path}, line {number}: {line[:80]!r} is not '{form}'; {_REMEDY}")
