"""Many strings in two arrays: a million names are 20 MB and a memory map, not a million objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

from dmdnet.errors import DataError


class Strings(Sequence[str]):
    """An immutable sequence of strings.

    Args:
        data: UTF-8 bytes of all strings, one after the other, uint8.
        ends: where each string ends in `data`, int64 (N,), never falling.
    """

    def __init__(self, data: np.ndarray, ends: np.ndarray) -> None:
        self.data = data
        self.ends = ends

    @classmethod
    def of(cls, values: Iterable[str]) -> Strings:
        """Return the sequence of `values`.

        Raises:
            DataError: a value is the name of a file whose bytes are no UTF-8.
        """
        encoded = [_encoded(value) for value in values]
        ends = np.cumsum([len(value) for value in encoded], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), ends)

    def take(self, numbers: np.ndarray) -> Strings:
        """Return the strings at `numbers`, int64 (M,), in that order."""
        starts, lengths = self.starts()[numbers], self.lengths()[numbers]
        ends = np.cumsum(lengths, dtype=np.int64)
        places = np.arange(len(lengths) and int(ends[-1])) + np.repeat(starts - (ends - lengths), lengths)
        return Strings(self.data[places], ends)

    def starts(self) -> np.ndarray:
        """Return where each string begins in `data`, int64 (N,)."""
        return np.concatenate([np.zeros(min(1, len(self.ends)), np.int64), self.ends[:-1]])

    def lengths(self) -> np.ndarray:
        """Return the length of each string in bytes, int64 (N,)."""
        return np.diff(self.ends, prepend=0)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"string {index} of {len(self)}")
        index %= len(self)
        start = int(self.ends[index - 1]) if index else 0
        return bytes(self.data[start : int(self.ends[index])]).decode()

    def __iter__(self) -> Iterator[str]:
        data, start = bytes(self.data), 0
        for end in self.ends.tolist():
            yield data[start:end].decode()
            start = end


def _encoded(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise DataError(f"{value!r}: the name is not UTF-8; rename the file") from None
