"""CelebRef-HQ: one folder per person. 1,005 people, 10,555 pictures of 512 x 512 pixels."""

from __future__ import annotations

from pathlib import Path

from dmdnet.data.layouts.base import LAYOUTS, image_files, require_folder, require_records
from dmdnet.data.records import FaceRecord

LANDMARKS_FOLDER = "landmarks"


@LAYOUTS.register()
class CelebRefHQLayout:
    """`<dataroot_gt>/<identity>/<k>.png` with landmarks in `<dataroot_landmarks>/<identity>/<k>.png.txt`.

    The demo faces and any aligned faces of one's own, a folder per person, have the same layout.

    Args:
        dataroot_gt: the folder of the people's folders (`CelebHQRefForRelease`, or `images` of the demo faces).
        dataroot_landmarks: the parallel tree; by default the folder `landmarks` beside `dataroot_gt`. Files that
            it lacks are made and written there.
    """

    def __init__(self, *, dataroot_gt: str, dataroot_landmarks: str | None = None) -> None:
        self.root = Path(dataroot_gt)
        self.landmarks = Path(dataroot_landmarks) if dataroot_landmarks else self.root.parent / LANDMARKS_FOLDER

    def records(self) -> list[FaceRecord]:
        """Return the faces, people in order, each person's pictures in the order of their numbers."""
        layout = (
            f"The layout is CelebRef-HQ's: {self.root / '00001' / '1.png'} with "
            f"{self.landmarks / '00001' / '1.png.txt'}; get CelebRef-HQ from the page of DMDNet's authors "
            "(csxmli2016/DMDNet) and put it there, or make drawn faces: python scripts/make_demo_faces.py "
            "(datasets/README.md)"
        )
        require_folder(self.root, "dataroot_gt", layout)
        records = []
        for path in image_files(self.root):
            name = path.relative_to(self.root).as_posix()
            folders = name.split("/")[:-1]
            if len(folders) == 1:
                records.append(FaceRecord(name, path, self.landmarks / f"{name}.txt", folders[0]))
        return require_records(records, self.root, "dataroot_gt", layout)
