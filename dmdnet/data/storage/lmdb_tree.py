"""Is the tree of an LMDB sound? Its own library trusts every number in it: one that is wrong can end the process.

The pages above the pictures are read here without the library, and every number in them that leads somewhere is held
against the file: page numbers, lengths, places of keys. Pictures' own pages hold nothing that leads anywhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path

import numpy as np

from dmdnet.data.storage.lmdb_pages import HEADER, Meta
from dmdnet.errors import DataError

_BRANCH, _LEAF, _DIRTY = 0x01, 0x02, 0x10
_ELSEWHERE = 0x01  # flag of a leaf's entry: the value lies in pages of its own
_PAGE = struct.Struct("<Q HH HH")  # number, padding, flags, end of the entries' places, begin of the entries
_ENTRY = struct.Struct("<HH HH")  # length of the value (or number of the page below), flags, length of the key
_DEEPEST = 32  # of the library's own stack
_NO_PAGE = (1 << 64) - 1


class _UnsoundError(Exception):
    """What is wrong, and where."""


def check_tree(path: Path, meta: Meta, most_pages: int | None = None) -> bool:
    """Check the pages of a tree, from its root to the entries of all pictures; return whether all were looked at.

    Args:
        path: `data.mdb`.
        meta: its newest meta page.
        most_pages: look at no more than this many.

    Raises:
        DataError: a page leads out of the file, into another kind of page or round in a circle, or the entries are
            not as many as the file says.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return _Walk(file, meta).go(most_pages)
    except _UnsoundError as error:
        remedy = "get it again, or make it again with scripts/make_lmdb.py"
        raise DataError(f"{path}: is damaged: {error}; {remedy}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


class _Walk:
    """One walk over all branches and leaves, level by level."""

    def __init__(self, file: RawIOBase, meta: Meta) -> None:
        self.file = file
        self.meta = meta

    def go(self, most_pages: int | None) -> bool:
        meta = self.meta
        if meta.flags or meta.depth > _DEEPEST:
            raise _UnsoundError(f"its table has flags {meta.flags} and {meta.depth} levels")
        if meta.root == _NO_PAGE or not meta.depth:
            if (meta.root == _NO_PAGE, meta.depth, meta.entries) != (True, 0, 0):
                raise _UnsoundError("its table has no root")
            return True
        level, seen, entries = [meta.root], 0, 0
        for depth in range(meta.depth):
            seen += len(level)
            if most_pages is not None and seen > most_pages:
                return False
            leaves = depth == meta.depth - 1
            below: list[int] = []
            for number in level:
                found = list(self._entries(number, leaves))
                if leaves:
                    entries += len(found)
                    continue
                below += found
                if seen + len(below) > meta.last_page + 1:  # at once: each page may lead to two thousand more
                    raise _UnsoundError("its tree has more pages than the file")
            level = below
        if entries != meta.entries:
            raise _UnsoundError(f"its tree has {entries:,} entries, its table {meta.entries:,}")
        return True

    def _entries(self, number: int, is_leaf: bool) -> Iterator[int]:
        """Yield, for each entry of a page, the number of the page below it; for those of a leaf just 0."""
        page = self._page(number)
        own, _, flags, lower, upper = _PAGE.unpack_from(page)
        if own != number or flags & ~_DIRTY != (_LEAF if is_leaf else _BRANCH):
            raise _UnsoundError(f"page {number} is not the {'leaf' if is_leaf else 'branch'} that it should be")
        if not HEADER + 2 * (1 if is_leaf else 2) <= lower <= upper <= len(page) or lower % 2:
            raise _UnsoundError(f"page {number} has its entries outside of it")
        places = np.frombuffer(page, "<u2", (lower - HEADER) // 2, HEADER).tolist()
        for place in places:
            if place < upper or place + _ENTRY.size > len(page):
                raise _UnsoundError(f"page {number} has an entry outside of it")
            low, high, entry_flags, key_length = _ENTRY.unpack_from(page, place)
            end = place + _ENTRY.size + key_length
            if is_leaf:
                self._check_value(number, page, end, low | high << 16, entry_flags)
                yield 0
            else:
                if end > len(page):
                    raise _UnsoundError(f"page {number} has a key longer than it")
                yield low | high << 16 | entry_flags << 32

    def _check_value(self, number: int, page: bytes, start: int, length: int, flags: int) -> None:
        elsewhere = flags == _ELSEWHERE
        if flags not in (0, _ELSEWHERE) or start + (8 if elsewhere else length) > len(page):
            raise _UnsoundError(f"page {number} has an entry of another kind, or longer than the page")
        if elsewhere:
            first = int.from_bytes(page[start : start + 8], "little")
            last = first + (HEADER + length - 1) // self.meta.page_size
            if first < 2 or last > self.meta.last_page:
                raise _UnsoundError(f"page {number} has a picture outside of the file")

    def _page(self, number: int) -> bytes:
        if not 2 <= number <= self.meta.last_page:
            raise _UnsoundError(f"its tree leads to page {number}, which is none of it")
        self.file.seek(number * self.meta.page_size)
        page = self.file.read(self.meta.page_size) or b""
        if len(page) < self.meta.page_size:
            raise _UnsoundError(f"page {number} is cut short")
        return page
