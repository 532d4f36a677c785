"""The registry of layouts and what they share: roots that are there, and pictures listed the same way everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from dmdnet.data.manifest import Manifest
from dmdnet.data.storage import Storage, open_storage
from dmdnet.data.storage.natural import natural_key
from dmdnet.data.storage.opening import LMDB_SUFFIX
from dmdnet.errors import DataError
from dmdnet.registry import Registry

LAYOUTS = Registry("layout", "dmdnet.data.layouts")
LANDMARKS_FOLDER = "landmarks"
README = "(datasets/README.md)"

SplitName = Literal["train", "val", "test"]

__all__ = ["LANDMARKS_FOLDER", "LAYOUTS", "Layout", "SplitName", "natural_key"]


class Layout(Protocol):
    """Where a data set's pictures, people and landmarks are."""

    def manifest(self) -> Manifest:
        """Return all faces in an order that depends on their names only.

        Raises:
            DataError: a root is missing or holds no picture in this layout; the message shows the layout.
        """
        ...


def open_root(root: str, option: str, expected: str) -> Storage:
    """Return the storage at `root`, a folder or (`.lmdb`) an LMDB.

    Args:
        root: as the option file names it.
        option: its name, for messages.
        expected: a sentence that shows the layout and says where it comes from.

    Raises:
        DataError: there is nothing, a file where a folder is needed, or an LMDB that cannot be used.
    """
    path = Path(root)
    if not path.is_dir():
        reason = "is a file, a folder is needed" if path.exists() else "does not exist"
        made = "; scripts/make_lmdb.py makes an LMDB of a folder" if path.suffix == LMDB_SUFFIX else ""
        raise DataError(f"{option}: {root} {reason}{made}. {expected}")
    return open_storage(path)


def require_file(path: Path, option: str, expected: str) -> Path:
    """Return `path`; raise DataError when it is no file."""
    if not path.is_file():
        reason = "is a folder, a file is needed" if path.is_dir() else "does not exist"
        raise DataError(f"{option}: {path} {reason}. {expected}")
    return path


def found_pictures(storage: Storage, root: str, option: str, expected: str) -> list[str]:
    """Return the keys of all pictures in natural order; raise DataError when there is none."""
    keys = storage.list_keys()
    if not keys:
        raise no_pictures(root, option, expected)
    return keys


def no_pictures(root: str, option: str, expected: str) -> DataError:
    """Return the error for a root without pictures in its layout."""
    return DataError(f"{option}: {root} holds no picture in this layout. {expected}")


def landmark_folder(dataroot_landmarks: str | None, root: str | Path) -> Path:
    """Return the folder of landmark files: the one that is named, else `landmarks` beside `root`."""
    return Path(dataroot_landmarks) if dataroot_landmarks else Path(root).parent / LANDMARKS_FOLDER


def stem_of(name: str) -> str:
    """Return a picture's relative name without its suffix."""
    head, slash, last = name.rpartition("/")
    stem, dot, _ = last.rpartition(".")
    return f"{head}{slash}{stem if dot and stem else last}"
