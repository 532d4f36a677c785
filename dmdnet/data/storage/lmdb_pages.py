"""Is an LMDB file whole? Its own library does not ask: touching what is missing ends the process by SIGBUS.

Only the two meta pages are read here (LMDB's data format version 1 as 64-bit little-endian machines write it), so
that a million pictures open at once. Damage inside the pages of a file of the right length is found in the tree
(lmdb_tree.py) and where it changes a picture (checksums).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from dmdnet.errors import DataError

_MAGIC, _VERSION = 0xBEEFC0DE, 1
HEADER = 16  # of every page, bytes
_META = struct.Struct("<II QQ IHHQQQQQ IHHQQQQQ QQ")  # magic, version, address, map size, two trees, last page, txn
_PAGE_SIZE, _FLAGS, _DEPTH, _ENTRIES, _ROOT, _LAST_PAGE, _TRANSACTION = 4, 13, 14, 18, 19, 20, 21


@dataclass(frozen=True)
class Meta:
    """What a meta page says.

    Args:
        page_size: bytes.
        flags: of the main table; 0 in every LMDB of pictures.
        depth: levels of its tree.
        entries: keys in it.
        root: number of the page at its top.
        last_page: number of the last page in use; pages count from 0.
        transaction: number of the transaction that wrote this; the newer of the two meta pages holds.
    """

    page_size: int
    flags: int
    depth: int
    entries: int
    root: int
    last_page: int
    transaction: int


def check_pages(path: Path) -> Meta:
    """Return the newest meta page of a `data.mdb` whose pages are all there.

    Raises:
        DataError: it is missing, cut short or no LMDB.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            first = _meta(file.read(HEADER + _META.size))
            file.seek(first.page_size if first else 0)
            second = _meta(file.read(HEADER + _META.size)) if first else None
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; an LMDB is a folder with data.mdb in it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if first is None:
        reason = "is empty" if size == 0 else "is no LMDB, or one of another kind of machine"
        raise DataError(f"{path}: {reason}; get it again or make it again with scripts/make_lmdb.py")
    newest = max((meta for meta in (first, second) if meta), key=lambda meta: meta.transaction)
    needed = (newest.last_page + 1) * newest.page_size
    if second is None or size < needed:
        raise DataError(
            f"{path}: is cut short: it has {size:,} of {needed:,} bytes; get it again (if it was never copied, "
            "`mdb_copy -c` makes a compact one)"
        )
    return newest


def _meta(page: bytes) -> Meta | None:
    if len(page) < HEADER + _META.size:
        return None
    fields = _META.unpack_from(page, HEADER)
    page_size = fields[_PAGE_SIZE]
    if fields[:2] != (_MAGIC, _VERSION) or not 512 <= page_size <= 65536 or page_size & (page_size - 1):
        return None
    chosen = (_FLAGS, _DEPTH, _ENTRIES, _ROOT, _LAST_PAGE, _TRANSACTION)
    return Meta(page_size, *(fields[place] for place in chosen))
