"""Pictures that another tool has made: a folder of results, paired with the set by their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import cv2
import numpy as np
import torch

from dmdnet.config.options import Options
from dmdnet.data.batch import FaceBatch
from dmdnet.data.storage.disk import DiskStorage
from dmdnet.errors import ConfigError, DataError, MissingFileError
from dmdnet.evaluation.methods.base import Method, TestSet
from dmdnet.evaluation.naming import picture_path, safe_name
from dmdnet.evaluation.records import MethodInfo
from dmdnet.evaluation.restoring import Failure, Restored, answered
from dmdnet.image_decoding import IMAGE_SUFFIXES
from dmdnet.images import from_hwc, read_image
from dmdnet.registry import METHODS, Runtime
from dmdnet.typed import nearest

SET = "{set}"
_READERS = 4  # files are read by so many threads: decoding lets go of Python's lock
_SHOWN = 3


@METHODS.register()
class FolderMethod(Method):
    """A folder of results made by any other tool.

    A file belongs to the picture whose name it has, suffix aside: `<identity>/<name>` (as
    `results/<run>/<set>/<method>` has them), the picture's name with its folders, or the last part of it alone where no
    two pictures of the set share that. A picture without a file is a failure of the method; files without a picture
    are listed.

    Args:
        dataroot: the folder; `{set}` in it becomes the name of the set as the option file has it or, where there is no
            such folder, as folders of our own results have it (`safe_name`: other signs than letters, digits and
            `_.+=@-` replaced, and a hash).
        suffix: what the tool appends to every name before the dot, such as `_00` or `_out`.
        sets: the names of the sets that it has results of; default: all.
        other_size: what becomes of a picture that has another size than the set's: it counts as `failed`, or is
            brought to the set's size (`resize`: area down, Lanczos up; square pictures only).

    Raises:
        ConfigError: several sets would share one folder.
    """

    def __init__(
        self,
        *,
        dataroot: str,
        suffix: str = "",
        sets: tuple[str, ...] | None = None,
        other_size: Literal["failed", "resize"] = "failed",
        entry: Runtime[str],
        options: Runtime[Options],
        device: Runtime[torch.device],
    ) -> None:
        super().__init__(entry=entry, options=options, device=device)
        self.dataroot = dataroot
        self.suffix = suffix
        self.sets = sets
        self.other_size = other_size
        self._check_sets()
        self._pairing = Pairing(Path(dataroot), {}, ())

    def _check_sets(self) -> None:
        names = [entry.name for key, entry in self.options.datasets.items() if not key.startswith("train")]
        for name in self.sets or ():
            if name not in names:
                raise ConfigError(f"methods.{self.entry}.sets: there is no test set {name!r}; {nearest(name, names)}")
        count = len(self.sets or names)
        if SET not in self.dataroot and count > 1:
            raise ConfigError(
                f"methods.{self.entry}.dataroot: {self.dataroot} would have the results of {count} sets; "
                f"write {SET} into it where the name of the set belongs, or name one set in `sets`"
            )

    @property
    def columns(self) -> tuple[MethodInfo, ...]:
        """One column, named as the entry."""
        return (MethodInfo(self.entry, "folder", entry=self.entry, source=self.dataroot),)

    def applies_to(self, set_name: str) -> bool:
        """Return whether the folder has results of a set."""
        return self.sets is None or set_name in self.sets

    def start(self, test_set: TestSet) -> tuple[str, ...]:
        """Pair the folder with the set; return what has no partner.

        Raises:
            DataError: the folder is missing or has no picture of the set, or two files belong to one picture.
        """
        root = self._root(test_set.name)
        self._pairing = pair(root, test_set.keys, self.suffix, where=f"methods.{self.entry}.dataroot")
        missing = [key for key in test_set.keys if key not in self._pairing.files]
        lines = [f"{self.entry}: no result for {name} ({identity})" for identity, name in missing]
        return (*lines, *(f"{self.entry}: {root / extra} belongs to no picture" for extra in self._pairing.extra))

    def _root(self, set_name: str) -> Path:
        named, ours = (Path(self.dataroot.replace(SET, name)) for name in (set_name, safe_name(set_name)))
        return ours if ours.is_dir() and not named.is_dir() else named

    def settings(self, column: str) -> Mapping[str, Any]:
        """Return how files of another size are taken; `stamp` says which files."""
        return {"other_size": self.other_size}

    def stamp(self, key: tuple[str, str]) -> str:
        """Return the path, size and time of a picture's file."""
        path = self._pairing.files.get(key)
        if path is None:
            return "missing"
        try:
            stat = path.stat()
        except OSError:
            return "missing"
        return f"{path} {stat.st_size} {stat.st_mtime_ns}"

    def restore(self, batch: FaceBatch, columns: Sequence[str]) -> dict[str, Restored]:
        """Return the pictures in the folder; one that is missing, damaged or of another size is a failure."""
        keys = list(zip(batch.identities, batch.names, strict=True))
        size = batch.lq_BCHW.shape[-1]
        with ThreadPoolExecutor(min(_READERS, len(keys))) as readers:
            found = list(readers.map(lambda key: self._read(key, size), keys))
        blank = torch.zeros(batch.lq_BCHW.shape[1:], dtype=torch.uint8)
        pictures = [blank if isinstance(item, Failure) else from_hwc(item) for item in found]
        failures = [item if isinstance(item, Failure) else None for item in found]
        answer = answered(batch, torch.stack(pictures).to(batch.lq_BCHW.device), failures)
        return dict.fromkeys(columns, answer)

    def _read(self, key: tuple[str, str], size: int) -> np.ndarray | Failure:
        path = self._pairing.files.get(key)
        if path is None:
            return Failure("missing", f"{self._pairing.root}: has no picture of this name")
        try:
            picture = read_image(path)
        except MissingFileError as error:
            return Failure("missing", str(error))
        except DataError as error:
            return Failure("unreadable", str(error))
        height, width = picture.shape[:2]
        if (height, width) == (size, size):
            return picture
        if self.other_size == "failed" or height != width:
            return Failure(
                "wrong_size", f"{path}: {width} x {height} pixels, the set has {size} x {size}; see other_size"
            )
        shrinks = height > size
        return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4)


@dataclass(frozen=True)
class Pairing:
    """Which file is whose.

    Attributes:
        files: identity and name -> file.
        extra: pictures in the folder that are nobody's, relative to it.
    """

    root: Path
    files: Mapping[tuple[str, str], Path]
    extra: tuple[str, ...]


def pair(root: Path, keys: Sequence[tuple[str, str]], suffix: str = "", *, where: str = "dataroot") -> Pairing:
    """Return which picture in `root` belongs to which of `keys` (identity, name).

    Raises:
        DataError: see `FolderMethod.start`.
    """
    files: dict[str, str] = {}
    extra, doubled = [], dict[str, str]()
    for relative in _pictures(root, where):
        stem = str(PurePosixPath(relative).with_suffix(""))
        if not stem.endswith(suffix) or not PurePosixPath(stem).name.removesuffix(suffix):
            extra.append(relative)
            continue
        stem = stem.removesuffix(suffix)
        if stem in files:
            doubled[stem] = relative
        else:
            files[stem] = relative
    if not files:
        ending = f" that end in {suffix}" if suffix else ""
        raise DataError(f"{where}: {root}: has no pictures{ending}")
    found, used, ambiguous = {}, set(), []
    shared = _shared(keys)
    for key in keys:
        names = [name for name in _names(*key) if name in files]
        alone = [name for name in names if name not in shared]
        if alone:
            found[key] = root / files[alone[0]]
            used.add(alone[0])
        elif names:
            ambiguous.append(key)
    if ambiguous:
        raise DataError(
            f"{where}: {root}: several pictures of the set are called {_last(ambiguous[0][1])}; put the results into "
            f"one folder for each person: {_names(*ambiguous[0])[0]}.png"
        )
    if not found:
        raise DataError(
            f"{where}: {root}: none of its {len(files)} pictures has the name of one of the set's {len(keys)}: it has "
            f"{', '.join(sorted(files.values())[:_SHOWN])}, the set {', '.join(name for _, name in keys[:_SHOWN])}; "
            "see `suffix`"
        )
    both = next((stem for stem in doubled if stem in used), None)
    if both is not None:
        raise DataError(f"{where}: {root}: {files[both]} and {doubled[both]} are both results of {both}; remove one")
    extra += [relative for stem, relative in (*files.items(), *doubled.items()) if stem not in used]
    return Pairing(root, found, tuple(sorted(extra)))


def _names(identity: str, name: str) -> tuple[str, ...]:
    """Return the names without suffix under which a picture's result may lie, the surest first."""
    ours = picture_path(Path("."), "set", "method", identity, name)  # as a run of ours writes it
    return (f"{ours.parent.name}/{ours.stem}", f"{identity}/{_last(name)}", _without_suffix(name), _last(name))


def _shared(keys: Sequence[tuple[str, str]]) -> set[str]:
    """Return the names that may be meant for more than one picture."""
    counts = Counter(name for key in keys for name in dict.fromkeys(_names(*key)))
    return {name for name, count in counts.items() if count > 1}


def _last(name: str) -> str:
    return PurePosixPath(_without_suffix(name)).name


def _without_suffix(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_SUFFIXES else name


def _pictures(root: Path, where: str) -> list[str]:
    """Return the pictures below a folder, relative to it."""
    if not root.is_dir():
        raise DataError(
            f"{where}: {root}: there is no such folder; name the folder of the results, or the `sets` that it has"
        )
    return DiskStorage(root).list_keys()
