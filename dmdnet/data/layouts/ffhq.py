"""FFHQ: 70,000 aligned pictures of people who are not named."""

from __future__ import annotations

from pathlib import Path

from dmdnet.data.layouts.base import (
    LAYOUTS,
    found_pictures,
    landmark_folder,
    open_root,
    stem_of,
)
from dmdnet.data.manifest import Manifest, Row


@LAYOUTS.register()
class FFHQLayout:
    """`<dataroot_gt>/00000/00000.png` or flat `<dataroot_gt>/00000.png`; every picture counts as another person.

    So no picture has references of its own person.

    Args:
        dataroot_gt: the folder `images1024x1024`, the flat folder of pictures, or an LMDB made of either.
        dataroot_landmarks: `<name>.txt` in a parallel tree; by default the folder `landmarks` beside `dataroot_gt`.
            Files that it lacks are made and written there.
    """

    def __init__(self, *, dataroot_gt: str, dataroot_landmarks: str | None = None) -> None:
        self.root = dataroot_gt
        self.landmarks = landmark_folder(dataroot_landmarks, dataroot_gt)

    def manifest(self) -> Manifest:
        """Return the faces in the order of their numbers; the identity is the name without its suffix."""
        root = Path(self.root)
        expected = (
            f"The layout is FFHQ's: {root / '00000' / '00000.png'} or {root / '00000.png'}; get FFHQ "
            "(images1024x1024) from NVlabs/ffhq-dataset and put it there (datasets/README.md)"
        )
        storage = open_root(self.root, "dataroot_gt", expected)
        keys = found_pictures(storage, self.root, "dataroot_gt", expected)
        rows = [Row(key, stem_of(key), key, landmark_file=str(self.landmarks / f"{key}.txt")) for key in keys]
        return Manifest.from_rows(rows, storage=storage, origin=self.root)
