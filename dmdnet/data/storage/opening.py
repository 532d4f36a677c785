"""From a path to a storage."""

from __future__ import annotations

import os
from pathlib import Path

from dmdnet.data.storage.base import Storage
from dmdnet.data.storage.disk import DiskStorage
from dmdnet.data.storage.lmdb import DATA, LMDB_SUFFIX, LMDBStorage
from dmdnet.errors import DataError


def open_storage(path: str | os.PathLike[str]) -> Storage:
    """Return the storage at `path`: an LMDB when the name ends in `.lmdb`, else a folder of files.

    Raises:
        DataError: there is nothing, a file, or an LMDB that cannot be used.
    """
    path = Path(path)
    if path.suffix == LMDB_SUFFIX:
        return LMDBStorage(path)
    if not path.is_dir():
        raise DataError(f"{path}: {'is a file, a folder is needed' if path.exists() else 'there is no such folder'}")
    if (path / DATA).is_file():
        raise DataError(f"{path}: is an LMDB; its name must end in {LMDB_SUFFIX} to be read as one")
    return DiskStorage(path)
