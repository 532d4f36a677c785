"""Boxes of eyes, nose and mouth from 68 landmarks, as the published network expects them.

All lengths are pixels of a 512 x 512 picture; other sizes are computed there and scaled.
"""

from __future__ import annotations

import numpy as np

from dmdnet.errors import DataError

_CANVAS = 512
_LEFT_EYE, _RIGHT_EYE = slice(36, 42), slice(42, 48)
_LEFT_BROW, _RIGHT_BROW = slice(17, 22), slice(22, 27)
_NOSE, _NOSE_LEFT, _NOSE_BASE, _NOSE_RIGHT = slice(29, 36), 31, 33, 35
_MOUTH = slice(48, 68)


def component_boxes(landmarks: np.ndarray, image_size: int = _CANVAS) -> np.ndarray:
    """Return the component boxes of faces.

    Args:
        landmarks: (N, 68, 2), x y in pixels of a picture of `image_size` x `image_size`, in iBUG's order.
        image_size: side of the picture. Sizes other than 512 are scaled to 512, and the boxes back: rounded
            outward, so that a box keeps every pixel that it touches at 512.

    Returns:
        (N, 4, 4) int32, x0 y0 x1 y1 of left eye (points 36..41, on the left of the picture), right eye, nose,
        mouth. Not cut to the picture: an eye box can start below 0 or end past it, and a small one can be empty
        after floor division by 8 (`dmdnet.faces.boxes` clips and judges).

    Raises:
        DataError: landmarks of another shape, or not finite.
    """
    landmarks = np.asarray(landmarks, dtype=np.float64)
    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2):
        raise DataError(f"landmarks must be (N, 68, 2), not {landmarks.shape}; 68 points in iBUG's order per face")
    if not np.isfinite(landmarks).all():
        raise DataError("landmarks hold NaN or infinity; detect them again or leave the face out")
    scale = image_size / _CANVAS
    points = np.clip(landmarks / scale, 8, 504)
    boxes = np.stack(
        [
            _eye_box(points, _LEFT_EYE, _LEFT_BROW),
            _eye_box(points, _RIGHT_EYE, _RIGHT_BROW),
            _nose_box(points),
            _mouth_box(points),
        ],
        axis=1,
    )
    boxes = np.trunc(boxes)
    if image_size != _CANVAS:
        boxes = np.concatenate([np.floor(boxes[..., :2] * scale), np.ceil(boxes[..., 2:] * scale)], axis=-1)
    return boxes.astype(np.int32)


def _eye_box(points: np.ndarray, eye: slice, brow: slice) -> np.ndarray:
    """Square from the higher of brow and lid: 1 / 1.9 as far below the eye's centre as above."""
    center = points[:, eye].mean(axis=1)
    top = np.minimum(points[:, eye, 1].min(axis=1), points[:, brow, 1].min(axis=1))
    up = (center[:, 1] - top) * 1.3
    down = up / 1.9
    half = (up + down) / 2
    x, y = center.T
    return np.stack([x - half + 1, y - up + 1, x + half, y + down], axis=-1)


def _nose_box(points: np.ndarray) -> np.ndarray:
    x, y = points[:, _NOSE].mean(axis=1).T
    half = np.maximum(x - points[:, _NOSE_LEFT, 0], points[:, _NOSE_RIGHT, 0] - x) * 1.25
    down = (points[:, _NOSE_BASE, 1] - y) * 1.1
    return np.stack([x - half + 1, y - (2 * half - down) + 1, x + half, y + down], axis=-1)


def _mouth_box(points: np.ndarray) -> np.ndarray:
    """Square around the lips, half a side at least 17.6 pixels; its far corner is limited to 510."""
    lips = points[:, _MOUTH]
    center = lips.mean(axis=1)
    half = np.maximum((lips.max(axis=1) - lips.min(axis=1)).max(axis=-1) / 2, 16) * 1.1
    near = center - half[:, None] + 1
    far = np.minimum(center + half[:, None], 510)
    return np.concatenate([near, far], axis=-1)
