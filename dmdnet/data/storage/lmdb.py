"""Pictures in an LMDB as BasicSR makes them.

A folder `<name>.lmdb` with data.mdb, lock.mdb and meta_info.txt. Values are whole picture files, keys their names
without suffix.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import lmdb

from dmdnet.data.storage.keys import check_key
from dmdnet.data.storage.lmdb_lists import META_INFO, lmdb_key, read_checksums, read_names
from dmdnet.data.storage.lmdb_pages import check_pages
from dmdnet.data.storage.lmdb_tree import check_tree
from dmdnet.data.storage.natural import natural_key
from dmdnet.errors import DataError, MissingFileError
from dmdnet.image_decoding import IMAGE_SUFFIXES

DATA = "data.mdb"
LMDB_SUFFIX = ".lmdb"
_MOST_PAGES = 4096  # of the tree, looked at when it is opened: a tenth of a second, 100,000 pictures


class LMDBStorage:
    """The pictures of one LMDB, read only and without locks, from any number of threads and processes.

    It can be pickled, and used before and after a fork: each process opens the file itself when it first reads.

    Args:
        root: the folder, `<name>.lmdb`.

    Raises:
        DataError: it is no LMDB, it is cut short, its tree is damaged, or meta_info.txt is missing or does not list
            what is there.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            reason = "is a file; an LMDB is a folder" if self.root.exists() else "there is no such folder"
            raise DataError(f"{self.root}: {reason} with {DATA} and {META_INFO} in it")
        self._place = Path(os.path.realpath(self.root))
        _ENVIRONMENTS.close(self._place)  # of a file that may have been replaced since; readers open it again
        meta = check_pages(self.root / DATA)
        check_tree(self.root / DATA, meta, _MOST_PAGES)
        entries, listed = meta.entries, len(read_names(self.root))
        if entries != listed:
            raise DataError(
                f"{self.root}: {META_INFO} lists {listed:,} pictures, {DATA} holds {entries:,}; they do not belong "
                "together, or one is of an unfinished copy. Copy both again"
            )

    def read(self, key: str) -> bytes:
        """Return the picture file of a key, given with or without its suffix.

        Raises:
            DataError: there is none, or LMDB cannot read it.
        """
        check_key(key, self.root)
        stem, suffix = os.path.splitext(key)
        names = (stem, key) if suffix.lower() in IMAGE_SUFFIXES else (key,)
        try:
            found = _ENVIRONMENTS.get(self._place, names)
        except lmdb.Error as error:
            raise DataError(f"{self.where(key)}: cannot be read: {error}") from error
        if found is not None:
            return found
        raise MissingFileError(f"{self.where(key)}: there is no such picture; {META_INFO} lists what there is")

    def list_keys(self) -> list[str]:
        """Return the names in meta_info.txt, with their suffixes, in natural order."""
        return sorted(read_names(self.root), key=natural_key)

    def where(self, key: str) -> str:
        """Return the LMDB and the key, as if it were a path."""
        return str(self.root / key)

    def check(self) -> None:
        """Check the whole tree, however large it is; opening looks at the first pages of a very large one.

        Raises:
            DataError: it is damaged.
        """
        data = self.root / DATA
        check_tree(data, check_pages(data))

    def checksum(self, key: str) -> int | None:
        """Return the CRC-32 of a key in checksums.txt; LMDBs of other software have no such file.

        Raises:
            DataError: checksums.txt cannot be read.
        """
        return self._checksums.get(lmdb_key(key), self._checksums.get(key))

    @cached_property
    def _checksums(self) -> dict[str, int]:
        return read_checksums(self.root) or {}


class _Environments:
    """The LMDBs that this process has open: the library allows each only once in a process, however many read it.

    They stay open until the process ends or their place is opened anew: it is a map and a file handle each.
    The lock is held while anything is read and while the process forks: an environment can be closed in the child
    only if no thread of the parent was reading.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened: dict[Path, lmdb.Environment] = {}

    def get(self, root: Path, names: Iterable[str]) -> bytes | None:
        """Return the value of the first of `names` that is in the LMDB at `root`; None when none is."""
        with self.lock:
            environment = self.opened.get(root) or self._open(root)
            with environment.begin() as transaction:
                for name in names:
                    data = transaction.get(name.encode())
                    if data is not None:
                        return bytes(data)
        return None

    def close(self, root: Path) -> None:
        """Let go of the file that was opened at `root`."""
        with self.lock:
            if root in self.opened:
                self.opened.pop(root).close()

    def _open(self, root: Path) -> lmdb.Environment:
        check_pages(root / DATA)
        self.opened[root] = lmdb.open(str(root), readonly=True, create=False, lock=False, readahead=False)
        return self.opened[root]

    def forget(self) -> None:
        """In a forked child: close what the parent had open, which must not be used here; the parent keeps its own."""
        for environment in self.opened.values():
            environment.close()
        self.opened.clear()
        self.lock.release()


_ENVIRONMENTS = _Environments()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_ENVIRONMENTS.lock.acquire,
        after_in_parent=_ENVIRONMENTS.lock.release,
        after_in_child=_ENVIRONMENTS.forget,
    )
