"""DMDNet's list files: one degraded picture a line, with the folders of its references and their landmarks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dmdnet.data.layouts.base import (
    LAYOUTS,
    README,
    found_pictures,
    landmark_folder,
    no_pictures,
    open_root,
    require_file,
    stem_of,
)
from dmdnet.data.layouts.pairing import PictureIndex
from dmdnet.data.manifest import Manifest, Row
from dmdnet.data.storage import DiskStorage, MountedStorage, Storage
from dmdnet.errors import DataError

GT, DATA = "gt", "data"


@dataclass(frozen=True)
class _Line:
    """A line, its paths relative to the root: the degraded picture, and the folders (empty where not given)."""

    number: int
    picture: str
    references: str = ""
    landmarks: str = ""


@LAYOUTS.register()
class DMDNetListLayout:
    """A text file: `picture`, or `picture<TAB>folder of references<TAB>folder of their landmarks`, one a line.

    A person is a folder of references; a picture without one is somebody else. References are the pictures in the
    folder in the order of their numbers. Landmarks of a reference are `<folder>/<picture>.txt`.

    Args:
        list_file: the list; empty lines and lines that begin with `#` are passed over.
        dataroot: the folder to which its paths are relative; by default the list's own. All pictures are below it.
        dataroot_gt: a folder (or LMDB) with the sharp pictures, paired by their names without suffix; without it the
            set has no ground truth.
        dataroot_landmarks: landmarks of the listed pictures, `<picture>.txt`; by default `landmarks` beside the list.
            Files that it lacks are made and written there.
    """

    def __init__(
        self,
        *,
        list_file: str,
        dataroot: str | None = None,
        dataroot_gt: str | None = None,
        dataroot_landmarks: str | None = None,
    ) -> None:
        self.list_file = Path(list_file)
        self.root = Path(dataroot) if dataroot is not None else self.list_file.parent
        self.gt = dataroot_gt
        self.landmarks = landmark_folder(dataroot_landmarks, self.list_file)

    def manifest(self) -> Manifest:
        """Return the pictures in the order of the list, then all references."""
        lines = self._lines()
        mounts: dict[str, Storage] = {DATA: DiskStorage(self.root)}
        targets: dict[str, str] = {}
        if self.gt:
            mounts[GT] = open_root(self.gt, "dataroot_gt", self._expected())
            targets = self._targets(lines, found_pictures(mounts[GT], self.gt, "dataroot_gt", self._expected()))
        folders = self._folders(lines)
        pictures = {folder: self._references(folder) for folder in folders}
        both = {line.picture for line in lines} & {key for keys in pictures.values() for key in keys}
        if both:
            raise DataError(f"{self.list_file}: {min(both)} is a degraded picture and a reference; take one out")
        rows = [self._row(line, targets.get(line.picture, ""), pictures.get(line.references, ())) for line in lines]
        for folder, keys in pictures.items():
            rows += [
                Row(key, folder, f"{DATA}/{key}", "", self._landmark_file(folders[folder], key),
                    is_target=False)
                for key in keys
            ]  # fmt: skip
        return Manifest.from_rows(rows, storage=MountedStorage(mounts), origin=str(self.list_file))

    def _folders(self, lines: Iterable[_Line]) -> dict[str, str]:
        """Return the landmarks' folder of each folder of references."""
        folders: dict[str, str] = {}
        for line in lines:
            if line.references and folders.setdefault(line.references, line.landmarks) != line.landmarks:
                raise DataError(
                    f"{self.list_file}, line {line.number}: the landmarks of {line.references} are in "
                    f"{folders[line.references]} by an earlier line; name one folder"
                )
        return folders

    def _row(self, line: _Line, target: str, references: Iterable[str]) -> Row:
        return Row(
            name=line.picture,
            identity=line.references if line.references else stem_of(line.picture),
            picture=f"{GT}/{target}" if target else "",
            degraded=f"{DATA}/{line.picture}",
            landmark_file=str(self.landmarks / f"{line.picture}.txt"),
            split="test",
            references=tuple(references),
        )

    def _lines(self) -> list[_Line]:
        require_file(self.list_file, "list_file", self._expected())
        try:
            text = self.list_file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.list_file}: cannot be read as text: {error}") from error
        lines: dict[str, _Line] = {}
        for number, written in enumerate(text.split("\n"), 1):
            if written.strip() and not written.startswith("#"):
                line = self._line(number, written.strip().split("\t"))
                if line.picture in lines:
                    raise DataError(
                        f"{self.list_file}, line {number}: {line.picture} is on line {lines[line.picture].number}, too"
                    )
                lines[line.picture] = line
        if not lines:
            raise no_pictures(str(self.list_file), "list_file", self._expected())
        return list(lines.values())

    def _line(self, number: int, parts: list[str]) -> _Line:
        place = f"{self.list_file}, line {number}"
        if len(parts) not in (1, 3):
            raise DataError(
                f"{place}: has {len(parts)} parts; it is a picture, or picture, folder and folder with tabs"
            )
        line = _Line(number, *(self._below(part.strip(), place) for part in parts))
        if not (self.root / line.picture).is_file():
            raise DataError(
                f"{place}: there is no picture {self.root / line.picture}; dataroot is the folder to which the list's "
                "paths are relative"
            )
        return line

    def _below(self, path: str, place: str) -> str:
        """Return a path of the list relative to the root, with slashes."""
        relative = os.path.relpath(os.path.join(self.root, path.replace("\\", "/")), self.root)
        if not path or relative.split(os.sep)[0] == "..":
            raise DataError(f"{place}: {path!r} is not below {self.root}; set dataroot to a folder above all pictures")
        return Path(relative).as_posix()

    def _references(self, folder: str) -> tuple[str, ...]:
        root = str(self.root / folder)
        open_root(root, "list_file", self._expected())
        keys = found_pictures(DiskStorage(root), root, "list_file", self._expected())
        return tuple(f"{folder}/{key}" for key in keys)

    def _landmark_file(self, folder: str, key: str) -> str:
        """Return `<folder>/<picture>.txt`, or `<folder>/<stem>.txt` where that is what is there."""
        name = key.rpartition("/")[2]
        full, short = self.root / folder / f"{name}.txt", self.root / folder / f"{stem_of(name)}.txt"
        return str(short if short.is_file() and not full.is_file() else full)

    def _targets(self, lines: Iterable[_Line], keys: Iterable[str]) -> dict[str, str]:
        assert self.gt is not None
        index = PictureIndex(keys, self.gt)
        found = {line.picture: index.find(line.picture) for line in lines}
        index.check(str(self.list_file), self._expected())
        return found

    def _expected(self) -> str:
        return (
            f"The list has the form of DMDNet's test lists (csxmli2016/DMDNet) and is made from your own pictures, for "
            f"example a line 'lq/00001.png' or 'lq/00001.png<TAB>refs/00001<TAB>landmarks/00001', with "
            f"{self.root / 'lq' / '00001.png'} {README}"
        )
