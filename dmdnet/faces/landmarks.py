"""The usual 68 landmarks (iBUG order): the left/right permutation and their text files.

"Left" is the left of the picture: points 36..41 are the eye on the left. Coordinates are x y in pixels, where
(0, 0) is the centre of the first pixel.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from dmdnet.errors import DataError
from dmdnet.files import write_bytes

NUM_LANDMARKS = 68
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
MOUTH = slice(48, 68)
LEFT_MOUTH_CORNER, RIGHT_MOUTH_CORNER = 48, 54

# point i of a mirrored face is point FLIP_68[i] of the face
FLIP_68 = np.array(
    [
        *range(16, -1, -1),  # jaw
        *range(26, 16, -1),  # brows
        *(27, 28, 29, 30),  # bridge of the nose
        *(35, 34, 33, 32, 31),  # nostrils
        *(45, 44, 43, 42, 47, 46),  # the right eye becomes the left one: corners swap, lids stay up and down
        *(39, 38, 37, 36, 41, 40),
        *(54, 53, 52, 51, 50, 49, 48),  # outer lips, upper
        *(59, 58, 57, 56, 55),  # outer lips, lower
        *(64, 63, 62, 61, 60),  # inner lips, upper
        *(67, 66, 65),  # inner lips, lower
    ]
)


def flip_landmarks(landmarks: np.ndarray, width: int) -> np.ndarray:
    """Return the landmarks (..., 68, 2) of a picture of `width` pixels after it is mirrored left to right."""
    flipped = landmarks[..., FLIP_68, :].copy()
    flipped[..., 0] = width - 1 - flipped[..., 0]
    return flipped


def read_landmarks(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a landmark file: 68 lines "x y". Returns (68, 2) float64.

    Raises:
        DataError: the file is missing, or has another number of lines, or something that is no finite number.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such landmark file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a landmark file: {error}") from error
    rows = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if len(rows) != NUM_LANDMARKS:
        raise DataError(f"{path}: {len(rows)} landmarks, {NUM_LANDMARKS} lines of 'x y' are needed")
    points = np.empty((NUM_LANDMARKS, 2))
    for point, (number, words) in zip(points, rows, strict=True):
        try:
            x, y = words
            point[:] = float(x), float(y)
        except ValueError:
            raise DataError(f"{path}, line {number}: {' '.join(words)!r} is not 'x y'") from None
        if not np.isfinite(point).all():
            raise DataError(f"{path}, line {number}: {' '.join(words)!r} is not finite")
    return points


def write_landmarks(path: str | os.PathLike[str], landmarks: np.ndarray) -> Path:
    """Write (68, 2) landmarks atomically as 68 lines "x y", to a thousandth of a pixel.

    Raises:
        DataError: another shape, not finite, or a path that cannot be written.
    """
    landmarks = check_landmarks(landmarks, path)
    return write_bytes(path, "".join(f"{x:.3f} {y:.3f}\n" for x, y in landmarks).encode())


def check_landmarks(landmarks: np.ndarray, name: object = "landmarks") -> np.ndarray:
    """Return the landmarks as (68, 2) float64.

    Raises:
        DataError: another shape, or not finite; the message names the first wrong point.
    """
    landmarks = np.asarray(landmarks, dtype=np.float64)
    if landmarks.shape != (NUM_LANDMARKS, 2):
        raise DataError(f"{name}: landmarks have shape {landmarks.shape}, ({NUM_LANDMARKS}, 2) is needed")
    bad = np.flatnonzero(~np.isfinite(landmarks).all(axis=1))
    if bad.size:
        raise DataError(f"{name}: landmark {bad[0]} is not finite")
    return landmarks
