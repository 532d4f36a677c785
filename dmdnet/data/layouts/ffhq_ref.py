"""FFHQ-Ref: which pictures of FFHQ show the same person; 20,405 of them have references."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dmdnet.data.layouts.base import (
    LAYOUTS,
    README,
    SplitName,
    found_pictures,
    landmark_folder,
    open_root,
    require_file,
)
from dmdnet.data.layouts.pairing import PictureIndex, people_of, shown, stem_of
from dmdnet.data.layouts.reference_csv import ListedTarget, read_reference_csv
from dmdnet.data.manifest import Manifest, Row
from dmdnet.data.storage import MountedStorage, Storage
from dmdnet.data.storage.natural import natural_key
from dmdnet.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

GT, LQ = "gt", "lq"


@dataclass(frozen=True)
class _Faces:
    """What one split names: its lists by target, the degraded pictures, and targets without references."""

    split: str
    lists: dict[str, tuple[str, ...]]
    degraded: dict[str, str]
    alone: tuple[str, ...]


@LAYOUTS.register()
class FFHQRefLayout:
    """FFHQ's pictures with the lists of FFHQ-Ref, as they are published.

    `<reference_mapping>/{train,val,test}_references.csv` name targets and references; beside that folder are
    `id_based_ffhq_split/{train,val,test}_image.txt` and `test_images/{moderate,severe}_degrad/`. References keep the
    order of the list, in which "the first k" is the protocol (`reference_order: given`). Pictures that are listed
    only as references are no targets. The lists name nobody: pictures that refer to each other are one person.

    Args:
        dataroot_gt: FFHQ's pictures (`images1024x1024`, flat, or an LMDB), at any size.
        reference_mapping: the folder of the three lists; or one such file, for another list of the same split.
        split: which list; all three by default.
        degraded: use the published degraded pictures of the test split.
        dataroot_lq: where these are, if not at `test_images/<degraded>_degrad` beside `reference_mapping`.
        dataroot_landmarks: `<picture>.txt` in a tree parallel to `dataroot_gt`; by default `landmarks` beside it.
        with_unreferenced: add the split's pictures without references, from `id_based_ffhq_split`.

    Raises:
        ConfigError: degraded pictures are asked for another split than test, or one file for all splits.
    """

    def __init__(
        self,
        *,
        dataroot_gt: str,
        reference_mapping: str,
        split: SplitName | None = None,
        degraded: Literal["moderate", "severe"] | None = None,
        dataroot_lq: str | None = None,
        dataroot_landmarks: str | None = None,
        with_unreferenced: bool = False,
    ) -> None:
        if split != "test" and (degraded or dataroot_lq):
            raise ConfigError("FFHQRefLayout: the published degraded pictures are of the test split; set split: test")
        self.mapping = Path(reference_mapping)
        self.is_one_file = self.mapping.suffix.lower() == ".csv"
        if self.is_one_file and split is None:
            raise ConfigError(f"FFHQRefLayout: {reference_mapping} is one list; say with split which one")
        self.root = dataroot_gt
        self.splits: Sequence[str] = get_args(SplitName) if split is None else (split,)
        self.beside = self.mapping.parent.parent if self.is_one_file else self.mapping.parent
        self.lq = dataroot_lq or (str(self.beside / "test_images" / f"{degraded}_degrad") if degraded else None)
        self.landmarks = landmark_folder(dataroot_landmarks, dataroot_gt)
        self.with_unreferenced = with_unreferenced

    def manifest(self) -> Manifest:
        """Return targets and references in the order of their numbers."""
        storage = open_root(self.root, "dataroot_gt", self._expected())
        index = PictureIndex(found_pictures(storage, self.root, "dataroot_gt", self._expected()), self.root)
        lq_storage = open_root(self.lq, "dataroot_lq", self._expected()) if self.lq else None
        faces = [self._faces(split, index, lq_storage) for split in self.splits]
        index.check(str(self.mapping), self._expected())
        rows = [row for part in faces for row in self._rows(part, mounted=lq_storage is not None)]
        mounted: Storage = storage if lq_storage is None else MountedStorage({GT: storage, LQ: lq_storage})
        rows.sort(key=lambda row: natural_key(row.name))
        # one origin for all splits: tables of one root have the same names for the same people
        return Manifest.from_rows(rows, storage=mounted, origin=self.root)

    def _faces(self, split: str, index: PictureIndex, lq_storage: Storage | None) -> _Faces:
        """Return the pictures of a split by their keys in FFHQ."""
        path = self.mapping if self.is_one_file else self.mapping / f"{split}_references.csv"
        listed = read_reference_csv(require_file(path, "reference_mapping", self._expected()))
        lists = {index.find(target.name): index.find_all(target.references) for target in listed}
        if len(lists) < len(listed):
            raise DataError(f"{path}: {len(listed) - len(lists)} of its targets are pictures that it has already")
        leaked = next((key for key, references in lists.items() if key in references), None)
        if leaked is not None:
            raise DataError(f"{path}: {leaked} is among its own references under another name; take it out of them")
        degraded = self._degraded(listed, index, lq_storage) if lq_storage else {}
        return _Faces(split, lists, degraded, self._alone(split, lists, index))

    def _degraded(self, listed: Iterable[ListedTarget], index: PictureIndex, storage: Storage) -> dict[str, str]:
        assert self.lq is not None
        degraded = PictureIndex(found_pictures(storage, self.lq, "dataroot_lq", self._expected()), self.lq)
        found = {index.find(target.name): degraded.find(target.degraded or target.name) for target in listed}
        degraded.check(str(self.mapping), self._expected())
        return found

    def _alone(self, split: str, lists: dict[str, tuple[str, ...]], index: PictureIndex) -> tuple[str, ...]:
        """Hold the lists against the published list of the split's pictures; return those without references."""
        path = self.beside / "id_based_ffhq_split" / f"{split}_image.txt"
        if not path.is_file() and not self.with_unreferenced:
            return ()
        names = _picture_names(require_file(path, "with_unreferenced", self._expected()))
        used = dict.fromkeys(face for target, references in lists.items() for face in (target, *references))
        stems = {stem_of(name) for name in names}
        strangers = [face for face in used if stem_of(face).rpartition("/")[2] not in stems]
        if strangers:
            logger.warning("%s: %d pictures of the list of references are not in it: %s",
                           path, len(strangers), shown(strangers))  # fmt: skip
        if not self.with_unreferenced:
            return ()
        return tuple(key for key in map(index.find, names) if key not in used)

    def _rows(self, faces: _Faces, *, mounted: bool) -> Iterable[Row]:
        people = people_of({_name(target): [_name(face) for face in faces.lists[target]] for target in faces.lists})
        prefix = f"{GT}/" if mounted else ""
        referred = dict.fromkeys(face for references in faces.lists.values() for face in references)
        for key in (*faces.lists, *(face for face in referred if face not in faces.lists), *faces.alone):
            yield Row(
                name=_name(key),
                identity=people.get(_name(key), stem_of(_name(key))),
                picture=f"{prefix}{key}",
                degraded=f"{LQ}/{faces.degraded[key]}" if key in faces.degraded else "",
                landmark_file=str(self.landmarks / f"{key}.txt"),
                split=faces.split,
                is_target=key in faces.lists or key not in referred,
                references=tuple(_name(face) for face in faces.lists.get(key, ())),
            )

    def _expected(self) -> str:
        return (
            f"FFHQ-Ref is {self.beside / 'reference_mapping' / 'test_references.csv'}, "
            f"{self.beside / 'id_based_ffhq_split' / 'test_image.txt'} and "
            f"{self.beside / 'test_images' / 'moderate_degrad' / '57244.png'}, from the page of ReF-LDM's authors "
            f"(ChiWeiHsiao/ref-ldm); the pictures are FFHQ's, {Path(self.root) / '57000' / '57244.png'} or "
            f"{Path(self.root) / '57244.png'}, from NVlabs/ffhq-dataset {README}"
        )


def _name(key: str) -> str:
    """A face is called by its file's name, as in the lists, wherever it lies."""
    return key.rpartition("/")[2]


def _picture_names(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}") from error
