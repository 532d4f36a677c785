"""Anybody's photographs: aligned faces, one folder per person."""

from __future__ import annotations

import logging
from pathlib import Path

from dmdnet.data.layouts.base import LAYOUTS, README, found_pictures, landmark_folder, no_pictures, open_root
from dmdnet.data.layouts.pairing import shown
from dmdnet.data.manifest import Manifest, Row

logger = logging.getLogger(__name__)


@LAYOUTS.register()
class PersonFoldersLayout:
    """`<dataroot_gt>/<person>/...`: all pictures in a person's folder, in folders within it, too.

    The faces have to be aligned and square; `python -m dmdnet prepare` makes them of ordinary photographs.

    Args:
        dataroot_gt: the folder of the people's folders, or an LMDB made of it.
        dataroot_landmarks: `<picture>.txt` in a parallel tree; by default the folder `landmarks` beside
            `dataroot_gt`. Files that it lacks are made and written there.
    """

    def __init__(self, *, dataroot_gt: str, dataroot_landmarks: str | None = None) -> None:
        self.root = dataroot_gt
        self.landmarks = landmark_folder(dataroot_landmarks, dataroot_gt)

    def manifest(self) -> Manifest:
        """Return the faces, people in order."""
        expected = (
            f"The layout is a folder per person: {Path(self.root) / 'Ann' / '1.jpg'}, aligned; make it from "
            f"photographs with python -m dmdnet prepare {README}"
        )
        storage = open_root(self.root, "dataroot_gt", expected)
        keys = found_pictures(storage, self.root, "dataroot_gt", expected)
        rows = [Row(key, key.split("/")[0], key, landmark_file=str(self.landmarks / f"{key}.txt")) for key in keys
                if "/" in key]  # fmt: skip
        stray = [key for key in keys if "/" not in key]
        if stray:
            logger.warning("%s: %d pictures are in no person's folder and are left out: %s",
                           self.root, len(stray), shown(stray))  # fmt: skip
        if not rows:
            raise no_pictures(self.root, "dataroot_gt", expected)
        return Manifest.from_rows(rows, storage=storage, origin=self.root)
