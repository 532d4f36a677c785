"""CelebRef-HQ: one folder per person. 1,005 people, 10,555 pictures of 512 x 512 pixels."""

from __future__ import annotations

from pathlib import Path

from dmdnet.data.layouts.base import (
    LAYOUTS,
    SplitName,
    found_pictures,
    landmark_folder,
    no_pictures,
    open_root,
)
from dmdnet.data.manifest import Manifest, Row
from dmdnet.data.manifest.splits import split_of
from dmdnet.errors import DataError

SPLIT_SEED = "celebref-hq"
# the nine sample people of DMDNet's authors, and seventeen that later work tests on (one is in both)
ALWAYS_TEST = frozenset(
    f"{number:05}"
    for numbers in (
        (5, 22, 75, 82, 86, 89, 119, 121, 146),
        (1, 27, 49, 52, 62, 82, 116, 168, 224, 232, 291, 435, 479, 621, 737, 749, 757),
    )
    for number in numbers
)


def celebref_split(identity: str) -> str:
    """Return the split of a person in our published split of CelebRef-HQ, which has no official one.

    The people whom others show or test on are in `test`; the others fall to 10 % test, 5 % val, 85 % train by the
    hash of their name. options/splits lists them.
    """
    return "test" if identity in ALWAYS_TEST else split_of(identity, seed=SPLIT_SEED)


@LAYOUTS.register()
class CelebRefHQLayout:
    """`<dataroot_gt>/<identity>/<k>.png` with landmarks in `<dataroot_landmarks>/<identity>/<k>.png.txt`.

    The demo faces have the same layout.

    Args:
        dataroot_gt: the folder of the people's folders (`CelebHQRefForRelease`, or `images` of the demo faces), or
            an LMDB made of it.
        dataroot_landmarks: the parallel tree; by default the folder `landmarks` beside `dataroot_gt`. Files that
            it lacks are made and written there.
        split: only the people of this part of our published split by identity (options/splits); all by default.
    """

    def __init__(
        self,
        *,
        dataroot_gt: str,
        dataroot_landmarks: str | None = None,
        split: SplitName | None = None,
    ) -> None:
        self.root = dataroot_gt
        self.landmarks = landmark_folder(dataroot_landmarks, dataroot_gt)
        self.split = split

    def manifest(self) -> Manifest:
        """Return the faces, people in order, each person's pictures in the order of their numbers."""
        expected = (
            f"The layout is CelebRef-HQ's: {Path(self.root) / '00001' / '1.png'} with "
            f"{self.landmarks / '00001' / '1.png.txt'}; get CelebRef-HQ from the page of DMDNet's authors "
            "(csxmli2016/DMDNet) and put it there, or make drawn faces: python scripts/make_demo_faces.py "
            "(datasets/README.md)"
        )
        storage = open_root(self.root, "dataroot_gt", expected)
        rows = [self._row(key) for key in found_pictures(storage, self.root, "dataroot_gt", expected)
                if key.count("/") == 1]  # fmt: skip
        if not rows:
            raise no_pictures(self.root, "dataroot_gt", expected)
        chosen = [row for row in rows if self.split in (None, row.split)]
        if not chosen:
            people = len({row.identity for row in rows})
            raise DataError(
                f"{self.root}: none of its people ({people}) is in the split {self.split!r}; leave split out"
            )
        return Manifest.from_rows(chosen, storage=storage, origin=self.root)

    def _row(self, key: str) -> Row:
        person = key.split("/")[0]
        landmarks = str(self.landmarks / f"{key}.txt")
        return Row(key, person, key, landmark_file=landmarks, split=celebref_split(person))
