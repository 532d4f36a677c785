"""FFHQ: 70,000 aligned pictures of people who are not named."""

from __future__ import annotations

from pathlib import Path

from dmdnet.data.layouts.base import LAYOUTS, image_files, require_folder, require_records
from dmdnet.data.records import FaceRecord

LANDMARKS_FOLDER = "landmarks"


@LAYOUTS.register()
class FFHQLayout:
    """`<dataroot_gt>/00000/00000.png` or flat `<dataroot_gt>/00000.png`; every picture counts as another person.

    So no picture has references of its own person.

    Args:
        dataroot_gt: the folder `images1024x1024` (or the flat folder of pictures).
        dataroot_landmarks: `<name>.txt` in a parallel tree; by default the folder `landmarks` beside `dataroot_gt`.
            Files that it lacks are made and written there.
    """

    def __init__(self, *, dataroot_gt: str, dataroot_landmarks: str | None = None) -> None:
        self.root = Path(dataroot_gt)
        self.landmarks = Path(dataroot_landmarks) if dataroot_landmarks else self.root.parent / LANDMARKS_FOLDER

    def records(self) -> list[FaceRecord]:
        """Return the faces in the order of their numbers; the identity is the name without its suffix."""
        layout = (
            f"The layout is FFHQ's: {self.root / '00000' / '00000.png'} or {self.root / '00000.png'}; get FFHQ "
            "(images1024x1024) from NVlabs/ffhq-dataset and put it there (datasets/README.md)"
        )
        require_folder(self.root, "dataroot_gt", layout)
        records = []
        for path in image_files(self.root):
            name = path.relative_to(self.root).as_posix()
            records.append(FaceRecord(name, path, self.landmarks / f"{name}.txt", name.rsplit(".", 1)[0]))
        return require_records(records, self.root, "dataroot_gt", layout)
