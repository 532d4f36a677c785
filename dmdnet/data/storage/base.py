"""The interface of storage, several storages as one, and part of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from dmdnet.errors import DataError


class Storage(Protocol):
    """Read-only bytes by key. A key is a relative name with slashes (`00001/1.png`).

    A storage may be opened before worker processes are forked or pickled to them; each process opens what it needs
    when it first reads.
    """

    def read(self, key: str) -> bytes:
        """Return the whole file of a key.

        Raises:
            DataError: there is none, or it cannot be read; the message names the place.
        """
        ...

    def list_keys(self) -> list[str]:
        """Return the keys of all pictures, in natural order (2.png before 10.png)."""
        ...

    def where(self, key: str) -> str:
        """Return what to call the file of a key in messages: its full path."""
        ...

    def checksum(self, key: str) -> int | None:
        """Return the CRC-32 that the storage has recorded of a key's file, None where it has none."""
        ...


class MountedStorage:
    """Several storages as one: the first part of a key says which (`lq/00001.png`).

    Args:
        mounts: the storages by the first part of their keys.
    """

    def __init__(self, mounts: Mapping[str, Storage]) -> None:
        self.mounts = dict(mounts)

    def read(self, key: str) -> bytes:
        """Return the whole file of a key."""
        storage, rest = self._find(key)
        return storage.read(rest)

    def list_keys(self) -> list[str]:
        """Return the keys of all pictures, mount after mount."""
        return [f"{mount}/{key}" for mount, storage in self.mounts.items() for key in storage.list_keys()]

    def where(self, key: str) -> str:
        """Return the full path of a key."""
        storage, rest = self._find(key)
        return storage.where(rest)

    def checksum(self, key: str) -> int | None:
        """Return the CRC-32 that the key's storage has recorded."""
        storage, rest = self._find(key)
        return storage.checksum(rest)

    def _find(self, key: str) -> tuple[Storage, str]:
        mount, _, rest = key.partition("/")
        if mount not in self.mounts:
            raise DataError(f"{key}: begins with none of {', '.join(self.mounts)}")
        return self.mounts[mount], rest


class ListedStorage:
    """Some pictures of a storage: those that a table names, whatever else lies there.

    Args:
        storage: has them.
        keys: theirs, in the order in which they are listed.
        name: what to call the list in messages.
    """

    def __init__(self, storage: Storage, keys: Sequence[str], name: str) -> None:
        self.storage = storage
        self.keys = tuple(keys)
        self.name = name

    def read(self, key: str) -> bytes:
        """Return the whole file of a key."""
        return self.storage.read(key)

    def list_keys(self) -> list[str]:
        """Return the keys that are listed."""
        return list(self.keys)

    def where(self, key: str) -> str:
        """Return the full path of a key, the list's name for an empty one."""
        return self.storage.where(key) if key else self.name

    def checksum(self, key: str) -> int | None:
        """Return the CRC-32 that the storage has recorded."""
        return self.storage.checksum(key)
