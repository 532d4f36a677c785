"""One face of a data set, before its picture is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SPLITS = ("", "train", "val", "test")


@dataclass(frozen=True, eq=False)
class Row:
    """What is known of one face. Unknown things are empty or None.

    Args:
        name: unique in the table, with slashes, the same on every machine; results are named by it.
        identity: the person.
        picture: key of the sharp picture in the table's storage; empty for a face without ground truth.
        degraded: key of a ready degraded picture; empty where it is made on the fly.
        landmark_file: text file of 68 points of the sharp picture (or of the degraded one, where that is all there
            is); also where points that have to be made are written.
        split: one of SPLITS.
        is_target: False for pictures that are references only.
        checksum, degraded_checksum: CRC-32 of the files.
        num_bytes: of the file of the picture.
        size: width and height of the picture in pixels.
        landmarks: (68, 2) float32 in pixels of the picture as it is stored.
        embedding: identity vector, float; distances compare within one table only.
        pose: yaw, pitch, roll of the head in degrees; yaw is positive towards the right of the picture, pitch
            upwards, roll clockwise.
        sharpness: 0 (blurred) and up, as `dmdnet.faces.quality` measures it.
        source_side: side of the aligned square in pixels of the photograph it was cut from; below the picture's
            side it was magnified.
        fingerprint: 64-bit perceptual hash; pictures that look alike differ in few bits.
        duplicate_of: name of an earlier row of which this is a near-duplicate.
        references: names of the rows that may be this face's references, the best first; None: all others of the
            same person.
        source: the photograph that the face was cut from.
    """

    name: str
    identity: str
    picture: str = ""
    degraded: str = ""
    landmark_file: str = ""
    split: str = ""
    is_target: bool = True
    checksum: int | None = None
    degraded_checksum: int | None = None
    num_bytes: int | None = None
    size: tuple[int, int] | None = None
    landmarks: np.ndarray | None = None
    embedding: np.ndarray | None = None
    pose: tuple[float, float, float] | None = None
    sharpness: float | None = None
    source_side: float | None = None
    fingerprint: int | None = None
    duplicate_of: str | None = None
    references: tuple[str, ...] | None = None
    source: str = ""

    def __eq__(self, other: object) -> bool:
        """Compare all fields, arrays by their values."""
        if not isinstance(other, Row):
            return NotImplemented
        return all(_equal(value, getattr(other, key)) for key, value in vars(self).items())


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    return bool(one is other) or (type(one) is type(other) and bool(one == other))
