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
        prefix: what every string begins with, where it is not empty, and `data` does not hold.
    """

    def __init__(self, data: np.ndarray, ends: np.ndarray, prefix: str = "") -> None:
        self.data = data
        self.ends = ends
        self.prefix = prefix

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
        return Strings(self.data[places], ends, self.prefix)

    def part(self, rows: slice) -> Strings:
        """Return consecutive strings without copying their bytes; `rows` has a start and a stop."""
        start = int(self.ends[rows.start - 1]) if rows.start else 0
        ends = self.ends[rows] - start
        return Strings(self.data[start : start + int(ends[-1])] if len(ends) else self.data[:0], ends, self.prefix)

    def starts(self) -> np.ndarray:
        """Return where each string begins in `data`, int64 (N,)."""
        return np.concatenate([np.zeros(min(1, len(self.ends)), np.int64), self.ends[:-1]])

    def lengths(self) -> np.ndarray:
        """Return the length of each string in bytes, without the prefix, int64 (N,)."""
        return np.diff(self.ends, prepend=0)

    def repeated(self) -> tuple[int, int] | None:
        """Return the numbers of two equal strings, None when all differ; no objects are made."""
        hashes = self._hashes()
        order = np.argsort(hashes, kind="stable")
        sorted_hashes = hashes[order]
        seen: dict[str, int] = {}
        for place in np.flatnonzero(sorted_hashes[1:] == sorted_hashes[:-1]).tolist():
            for number in order[place : place + 2].tolist():
                if seen.setdefault(self[number], number) != number:
                    return seen[self[number]], number
        return None

    def _hashes(self) -> np.ndarray:
        """Return a 64-bit hash (FNV-1a) of each string; all strings advance by one byte at a time."""
        lengths, starts = self.lengths(), self.starts()
        longest_first = np.argsort(-lengths, kind="stable")
        falling, starts = lengths[longest_first], starts[longest_first]
        hashes = np.full(len(self), 0xCBF29CE484222325, dtype=np.uint64)
        for place in range(int(falling[0]) if len(falling) else 0):
            still = int(np.searchsorted(-falling, -place, side="left"))  # strings longer than `place` bytes
            hashes[:still] = (hashes[:still] ^ self.data[starts[:still] + place]) * np.uint64(0x100000001B3)
        result = np.empty_like(hashes)
        result[longest_first] = hashes
        return result

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
        return self._text(bytes(self.data[start : int(self.ends[index])]))

    def __iter__(self) -> Iterator[str]:
        data, start = bytes(self.data), 0
        for end in self.ends.tolist():
            yield self._text(data[start:end])
            start = end

    def _text(self, encoded: bytes) -> str:
        return self.prefix + encoded.decode() if encoded else ""


def _encoded(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise DataError(f"{value!r}: the name is not UTF-8; rename the file") from None
