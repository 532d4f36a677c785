"""Folders of really degraded faces, mostly without ground truth: LFW-Test, WebPhoto-Test, WIDER-Test, CelebChild."""

from __future__ import annotations

from pathlib import Path

from dmdnet.data.layouts.base import LAYOUTS, README, found_pictures, landmark_folder, open_root, stem_of
from dmdnet.data.layouts.pairing import paired
from dmdnet.data.manifest import Manifest, Row
from dmdnet.data.storage import MountedStorage

GT, LQ = "gt", "lq"


@LAYOUTS.register()
class DegradedFolderLayout:
    """A folder of aligned degraded faces; every picture counts as another person, without references.

    Args:
        dataroot_lq: the folder, or an LMDB made of it.
        dataroot_gt: a folder with the sharp pictures of the same names; suffixes may differ.
        dataroot_landmarks: `<picture>.txt` in a parallel tree, of the sharp pictures where there are any, else of the
            degraded ones; by default `landmarks` beside `dataroot_lq`. Files that it lacks are made and written there.
    """

    def __init__(self, *, dataroot_lq: str, dataroot_gt: str | None = None, dataroot_landmarks: str | None = None):
        self.lq, self.gt = dataroot_lq, dataroot_gt
        self.landmarks = landmark_folder(dataroot_landmarks, dataroot_lq)

    def manifest(self) -> Manifest:
        """Return the faces in the order of their names; the identity is the name without its suffix."""
        expected = (
            f"The layout is a folder of aligned faces: {Path(self.lq) / '00000.png'}; get LFW-Test, WebPhoto-Test or "
            f"CelebChild from the page of GFPGAN's authors (TencentARC/GFPGAN), WIDER-Test from that of CodeFormer's "
            f"(sczhou/CodeFormer) {README}"
        )
        mounts = {LQ: open_root(self.lq, "dataroot_lq", expected)}
        keys = found_pictures(mounts[LQ], self.lq, "dataroot_lq", expected)
        targets: dict[str, str] = {}
        if self.gt:
            mounts[GT] = open_root(self.gt, "dataroot_gt", expected)
            targets = paired(keys, found_pictures(mounts[GT], self.gt, "dataroot_gt", expected), (self.lq, self.gt))
        rows = [
            Row(
                name=key,
                identity=stem_of(key),
                picture=f"{GT}/{targets[key]}" if targets else "",
                degraded=f"{LQ}/{key}",
                landmark_file=str(self.landmarks / f"{key}.txt"),
                split="test",
            )
            for key in keys
        ]
        return Manifest.from_rows(rows, storage=MountedStorage(mounts), origin=self.lq)
