"""Arrays that stay in a file: opened without reading, shared by all processes, and sent to them by place."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dmdnet.data.manifest.strings import Strings
from dmdnet.errors import DataError


@dataclass(frozen=True)
class Part:
    """Where an array lies in a mapped file."""

    offset: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _PackedStrings:
    data: Part | np.ndarray
    ends: Part | np.ndarray
    prefix: str


class MappedFile:
    """A file in memory, read only. Pickling sends its path; the other process maps the same file.

    It must not be cut while it is open (the operating system would end the process); programs that replace it by
    renaming, as `write_manifest` does, leave the old one to those who have it open.

    Raises:
        DataError: the file is missing or empty, or, when it comes out of a pickle, another one lies there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        self._open()

    def __len__(self) -> int:
        return len(self.buffer)

    def array(self, offset: int, dtype: str, shape: Sequence[int]) -> np.ndarray:
        """Return the array at an offset, without copying it; `dtype` is a name of numpy's, `shape` fits the file."""
        kind = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        if count == 0:
            return np.empty(shape, kind)
        return np.frombuffer(self.buffer, kind, count, offset).reshape(shape)

    def part(self, array: np.ndarray) -> Part | None:
        """Return where `array` lies in this file, None when it lies elsewhere or is not contiguous."""
        offset = _address(array) - self._start
        inside = array.nbytes > 0 and offset >= 0 and offset + array.nbytes <= len(self)
        return Part(offset, array.dtype.str, array.shape) if inside and array.flags.c_contiguous else None

    def _open(self) -> None:
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                if status.st_size == 0:
                    raise DataError(f"{self.path}: the file is empty; make it again")
                self.buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise DataError(f"{self.path}: there is no such file") from None
        except IsADirectoryError:
            raise DataError(
                f"{self.path}: is a folder; give the file in it, {self.path}/faces.manifest as a rule"
            ) from None
        except OSError as error:
            raise DataError(f"{self.path}: cannot be opened: {error.strerror or error}") from error
        self.version = (status.st_size, status.st_mtime_ns)
        self._start = _address(np.frombuffer(self.buffer, np.uint8))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "version": self.version}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._open()
        if self.version != state["version"]:
            raise DataError(f"{self.path}: was replaced while it was in use; start again")


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def packed(value: Any, mapped: MappedFile) -> Any:
    """Return `value` with the arrays in it that lie in the file replaced by their places."""
    if isinstance(value, np.ndarray):
        return mapped.part(value) or value
    if isinstance(value, dict):
        return {key: packed(item, mapped) for key, item in value.items()}
    if isinstance(value, Strings):
        return _PackedStrings(packed(value.data, mapped), packed(value.ends, mapped), value.prefix)
    return value


def unpacked(value: Any, mapped: MappedFile) -> Any:
    """Return what `packed` was given, over a file that may be mapped by another process."""
    if isinstance(value, Part):
        return mapped.array(value.offset, value.dtype, value.shape)
    if isinstance(value, dict):
        return {key: unpacked(item, mapped) for key, item in value.items()}
    if isinstance(value, _PackedStrings):
        return Strings(unpacked(value.data, mapped), unpacked(value.ends, mapped), value.prefix)
    return value
