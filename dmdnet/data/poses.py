"""How the head is turned in a picture: from the manifest, or from the picture's landmarks."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from dmdnet.data.face_reader import FaceReader
from dmdnet.data.manifest import Manifest
from dmdnet.errors import DataError
from dmdnet.faces.quality import head_pose

_KEPT = 65536  # poses kept by each process, about 10 MB

Pose = tuple[float, float, float]


class HeadPoses:
    """Yaw, pitch and roll of rows in degrees. What the manifest lacks is computed once and kept for a while.

    Args:
        manifest: the table.
        reader: reads the landmarks of faces for which the manifest has neither.
    """

    def __init__(self, manifest: Manifest, reader: FaceReader) -> None:
        self._manifest = manifest
        self._reader = reader
        self._known: OrderedDict[int, Pose | None] = OrderedDict()

    def __call__(self, row: int) -> Pose | None:
        """Return the pose of a row; None where its landmarks cannot be read or show no head."""
        if row not in self._known:
            self._known[row] = self._find(row)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return self._known[row]

    def _find(self, number: int) -> Pose | None:
        if "pose" in self._manifest.arrays:
            yaw, pitch, roll = self._manifest.arrays["pose"][number].tolist()
            if not np.isnan((yaw, pitch, roll)).any():
                return yaw, pitch, roll
        row = self._manifest.without_references(number)
        try:
            if row.landmarks is not None:
                return head_pose(row.landmarks)
            face = self._reader.read(row) if row.picture else self._reader.read_degraded(row)
            return head_pose(face.landmarks)
        except DataError:
            return None  # whoever takes the picture reads it, too, and says what is wrong with it
