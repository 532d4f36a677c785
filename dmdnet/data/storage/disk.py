"""Pictures as files below a folder."""

from __future__ import annotations

import os
from pathlib import Path

from dmdnet.data.storage.natural import natural_key
from dmdnet.errors import DataError
from dmdnet.images import IMAGE_SUFFIXES, read_file


class DiskStorage:
    """The files below `root`. Links to folders are followed, since large sets are often linked into place.

    Hidden files and folders are not listed.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def read(self, key: str) -> bytes:
        """Return the whole file of a key.

        Raises:
            DataError: the key leads out of the root, or the file is missing or cannot be read.
        """
        return read_file(self._path(key))

    def list_keys(self) -> list[str]:
        """Return the pictures below the root by their suffix, in natural order."""
        found = []
        for folder, subfolders, files in os.walk(self.root, followlinks=True):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            below = Path(folder).relative_to(self.root).as_posix()
            prefix = "" if below == "." else f"{below}/"
            for name in files:
                if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                    found.append(f"{prefix}{name}")
        return sorted(found, key=natural_key)

    def where(self, key: str) -> str:
        """Return the full path of a key."""
        return str(self.root / key)

    def _path(self, key: str) -> Path:
        if key.startswith("/") or "\\" in key or "\0" in key or ".." in key.split("/"):
            raise DataError(f"{key!r}: leads out of {self.root}; keys are relative and without '..'")
        return self.root / key
