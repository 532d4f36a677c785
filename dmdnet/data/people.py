"""Which rows of a manifest belong to which person: arrays, so that a million rows are no million objects."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from dmdnet.data.manifest import Manifest


class People:
    """The people of some rows of a manifest, in the order in which they first appear.

    Args:
        manifest: the table.
        rows: numbers of the rows that count, ascending, int64 (N,).
    """

    def __init__(self, manifest: Manifest, rows: np.ndarray) -> None:
        codes, first, inverse = np.unique(manifest.identity[rows], return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        places = rank[inverse.reshape(-1)]
        self._manifest = manifest
        self._codes = codes[order]
        self._rows = rows[np.argsort(places, kind="stable")]
        self.counts = np.bincount(places, minlength=len(order))
        self._starts = np.concatenate([[0], np.cumsum(self.counts)])
        self._place_of = np.full(len(manifest.identities), -1, dtype=np.int64)
        self._place_of[self._codes] = np.arange(len(order))

    def __len__(self) -> int:
        return len(self._codes)

    def place_of(self, row: int) -> int:
        """Return the place of a row's person among the people, -1 for somebody who is not among them."""
        return int(self._place_of[self._manifest.identity[row]])

    def rows_of(self, place: int) -> np.ndarray:
        """Return the numbers of a person's rows, ascending."""
        return self._rows[self._starts[place] : self._starts[place + 1]]

    def names(self) -> list[str]:
        """Return the people's names; for people by the thousand, not by row."""
        return [self._manifest.identities[code] for code in self._codes.tolist()]


class PersonOfRecord(Sequence[str]):
    """The person of each of some rows, looked up when asked for."""

    def __init__(self, manifest: Manifest, rows: np.ndarray) -> None:
        self._manifest = manifest
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        """Return one name, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self._manifest.identity_of(row) for row in self._rows[index].tolist()]
        return self._manifest.identity_of(int(self._rows[index]))


class NameHashes:
    """CRC-32 of "<one>\\n<other>" for one name with each of many, without going through them one by one.

    CRC is linear: what a prefix changes in a checksum depends on the length of what follows alone.
    """

    def __init__(self, names: Sequence[str]) -> None:
        encoded = [name.encode() for name in names]
        self._lengths, self._length_of = np.unique([len(name) for name in encoded], return_inverse=True)
        self._alone = np.array([zlib.crc32(name) for name in encoded], dtype=np.uint32)

    def after(self, prefix: str) -> np.ndarray:
        """Return the checksums of prefix + "\\n" + name for every name, uint32."""
        start = zlib.crc32(f"{prefix}\n".encode())
        change = [zlib.crc32(bytes(length), start) ^ zlib.crc32(bytes(length)) for length in self._lengths.tolist()]
        return self._alone ^ np.array(change, dtype=np.uint32)[self._length_of.reshape(-1)]
