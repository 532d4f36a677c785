"""Writing a file so that, whatever happens, the old one or the new one is there, and knowing its hash."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from dmdnet.errors import CheckpointError

_TEMPORARY = ".*.tmp"


def write_durably(path: Path, write: Callable[[Any], Any], needed: int = 0) -> dict[str, Any]:
    """Write a file beside its place, flush it to the disk, rename it; return its size and sha256.

    Args:
        path: the file; its folder exists.
        write: called with something that has `write` and `flush`.
        needed: about how many bytes it takes, for the message.

    Raises:
        CheckpointError: it cannot be written; nothing is left beside `path`, which is as it was.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(beside, "xb") as file:
            hashing = _Hashing(file)
            write(hashing)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        fsync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError when the file beneath it fails
        raise CheckpointError(
            f"{path}: the checkpoint cannot be written: {_reason(error)}; this file needs {needed:,} bytes and "
            f"{_free(path.parent)} are free. Earlier checkpoints are untouched"
        ) from error
    finally:
        discard(beside)
    return hashing.seal()


def remove_temporary(folder: Path) -> None:
    """Remove what a killed process was writing. Only for the one that holds the run's lock."""
    for path in folder.glob(_TEMPORARY):
        path.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Remove a file that is of no use, if that is possible: it must not hide the error that made it so."""
    with contextlib.suppress(OSError):  # a disk that has become read-only says so even of a file that is not there
        path.unlink(missing_ok=True)


def fsync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable, where the system lets a folder be opened and flushed."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot flush a folder
            raise
    finally:
        os.close(handle)


def digest(path: Path) -> str:
    """Return the sha256 of a file."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _reason(error: BaseException) -> str:
    """Return the system's own words, which torch's writer hides behind its own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error)


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free:,}"
    except OSError:  # the folder itself has gone
        return "none"


class _Hashing:
    """A binary file that hashes and counts what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self._size += len(view)
        return self._file.write(view)

    def flush(self) -> None:
        self._file.flush()

    def seal(self) -> dict[str, Any]:
        return {"bytes": self._size, "sha256": self._hash.hexdigest()}
