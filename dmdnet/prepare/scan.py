"""Which files of INPUT are photographs."""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dmdnet.data.storage.natural import natural_key
from dmdnet.errors import DataError
from dmdnet.images import IMAGE_SUFFIXES

# kinds that are read by their content, and kinds that are not read but belong into the list of failures
_OTHER_SUFFIXES = (".gif", ".ppm", ".pgm", ".pbm", ".jpe", ".jfif", ".heic", ".heif", ".avif")
SUFFIXES = (*IMAGE_SUFFIXES, *_OTHER_SUFFIXES)
_NOT_IN_NAMES = re.compile(r"[\n\r\\]")  # manifests refuse them


@dataclass(frozen=True)
class Photograph:
    """A file of INPUT: its path below it with slashes, and what tells that it has changed since (bytes, mtime)."""

    name: str
    stamp: tuple[int, int]

    def shard(self, shards: int) -> int:
        """Return which of `shards` works on it, from 0: by a hash of its name, the same on every machine."""
        return zlib.crc32(self.name.encode()) % shards


@dataclass(frozen=True)
class Failure:
    """A photograph, or one face of it, that gave nothing."""

    photograph: str
    reason: str
    face: int | None = None


@dataclass(frozen=True)
class Scan:
    """The photographs of INPUT in natural order, and the files that were passed over and should not go unsaid."""

    photographs: tuple[Photograph, ...]
    failures: tuple[Failure, ...]


def scan(root: Path) -> Scan:
    """Return the photographs below `root`, told by their suffix.

    Hidden files and folders are left out. So are links, since what they lead to would be there twice; those to
    pictures and folders are listed. `root` itself may be a link.

    Raises:
        DataError: `root` is missing, a file, or cannot be read.
    """
    if not root.is_dir():
        reason = "is a file; give the folder that it is in" if root.exists() else "there is no such folder"
        raise DataError(f"{root}: {reason}")
    photographs, failures = [], []
    for entry in _entries(root):
        name = os.path.relpath(entry.path, root).replace(os.sep, "/")
        try:
            name.encode()
        except UnicodeEncodeError:
            printable = os.fsencode(name).decode(errors="backslashreplace")
            failures.append(Failure(printable, "its name is not valid UTF-8; rename it"))
            continue
        if _NOT_IN_NAMES.search(name):
            failures.append(Failure(_NOT_IN_NAMES.sub("?", name), "its name has a line break or backslash; rename it"))
            continue
        if entry.is_symlink():
            failures.append(Failure(name, "is a link; links are not followed, give the folder that it leads to"))
            continue
        try:
            status = entry.stat()
        except FileNotFoundError:
            continue  # removed since the folder was listed
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
            failures.append(Failure(name, "is no file but a pipe, a socket or a device"))
            continue
        photographs.append(Photograph(name, (status.st_size, status.st_mtime_ns)))
    return Scan(
        tuple(sorted(photographs, key=lambda item: natural_key(item.name))),
        tuple(sorted(failures, key=lambda item: natural_key(item.photograph))),
    )


def _entries(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """Yield pictures below a folder, and links to folders and pictures, in an unspecified order."""
    try:
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror or error}") from error
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path)
        elif os.path.splitext(entry.name)[1].lower() in SUFFIXES or (entry.is_symlink() and entry.is_dir()):
            yield entry
