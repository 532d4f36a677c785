"""Where the bytes of pictures are: folders or LMDB, behind one interface."""

from dmdnet.data.storage.base import MountedStorage, Storage
from dmdnet.data.storage.disk import DiskStorage

__all__ = ["DiskStorage", "MountedStorage", "Storage"]
