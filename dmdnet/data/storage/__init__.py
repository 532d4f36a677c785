"""Where the bytes of pictures are: folders or LMDB, behind one interface."""

from dmdnet.data.storage.base import ListedStorage, MountedStorage, Storage
from dmdnet.data.storage.disk import DiskStorage
from dmdnet.data.storage.lmdb import LMDBStorage
from dmdnet.data.storage.lmdb_writing import write_lmdb
from dmdnet.data.storage.opening import open_storage
from dmdnet.data.storage.verifying import verify

__all__ = [
    "DiskStorage",
    "LMDBStorage",
    "ListedStorage",
    "MountedStorage",
    "Storage",
    "open_storage",
    "verify",
    "write_lmdb",
]
