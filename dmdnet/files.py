"""Reading files with errors that say what to do; writing them so that a reader sees the old one or the new one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dmdnet.errors import DataError, MissingFileError

try:
    import fcntl
except ImportError:  # Windows: nothing keeps two processes apart there
    fcntl = None  # type: ignore[assignment]


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file.

    Raises:
        DataError: it is missing (MissingFileError), a folder, or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, a file was expected") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write `data` to `path` atomically: beside it, flushed to the disk, then renamed over it.

    Raises:
        DataError: the folder is missing or not writable, the disk is full, or `path` is a folder.
    """
    return write_chunks(path, (data,))


def write_chunks(path: str | os.PathLike[str], chunks: Iterable[bytes | memoryview]) -> Path:
    """Write a file that is too large for the memory as `write_bytes` writes one, piece by piece.

    Raises:
        DataError: as for `write_bytes`.
    """
    path = Path(path)
    check_writable(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(beside, "xb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)
    return path


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check, before the work is done, that `path` can be written.

    Raises:
        DataError: the folder is missing or not writable, or `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give the name of a file to write")
    if not path.parent.is_dir():
        raise DataError(f"{path}: its folder {path.parent} does not exist; make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise DataError(f"{path}: its folder {path.parent} is not writable")


def make_folder(path: Path) -> Path:
    """Make a folder and those above it.

    Raises:
        DataError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: the folder cannot be made: {error.strerror or error}") from error
    return path


@contextmanager
def locked(path: Path, busy: str | None = None) -> Iterator[Any]:
    """Open a file for appending, unbuffered, for this process alone; a killed process leaves no lock behind.

    Args:
        path: made when it is missing.
        busy: the message when another process has it; None waits for it instead.

    Raises:
        DataError: the file cannot be opened, or another process has it.
    """
    try:
        file = open(path, "ab", buffering=0)  # noqa: SIM115  closed below, after the block
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        yield file
    except BlockingIOError:
        raise DataError(str(busy)) from None
    finally:
        file.close()
