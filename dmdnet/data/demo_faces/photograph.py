"""A drawn face pasted into a larger picture, to try detection, alignment and paste-back on."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dmdnet.errors import DataError

from .draw import DemoFace
from .paint import generator

_STREAM = 4
_FEATHER = 0.04  # of the face's side, over which its square edge fades into the background


def _ground(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    corners = rng.uniform(40, 200, (1, 1, 3)) + rng.uniform(-40, 40, (2, 2, 3))
    return cv2.resize(corners.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _placement(points: NDArray[np.float64], width: int, height: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the shift (2,) that puts `points` somewhere inside the picture."""
    low, high = points.min(0), points.max(0)
    room = np.array([width, height]) - 1 - (high - low)
    if (room < 0).any():
        need = np.ceil(high - low).astype(int)
        raise DataError(
            f"a photograph of {width} x {height} pixels has no room for a face of {need[0]} x {need[1]}; "
            "use a smaller scale or a larger photograph"
        )
    return room * rng.uniform(0.1, 0.9, 2) - low


def compose_photograph(
    face: DemoFace, width: int, height: int, scale: float, angle: float, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Paste `face` into a plain background.

    Args:
        face: the drawn face.
        width, height: of the photograph in pixels.
        scale: size of the pasted face relative to `face.image`, above 0.
        angle: degrees by which it is turned, clockwise as seen.
        seed: of the background and of the place.

    Returns:
        The photograph (height, width, 3) uint8 RGB, and the landmarks (68, 2) float64 in its pixels.

    Raises:
        DataError: `scale` is not above 0, or the landmarks do not fit into the photograph.
    """
    if not scale > 0:
        raise DataError(f"scale {scale}: must be above 0")
    rng = generator(seed, 0, _STREAM)
    size = face.image.shape[0]
    cos, sin = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    turn = np.array([[cos, -sin], [sin, cos]])
    points = face.landmarks @ turn.T
    shift = _placement(points, width, height, rng)
    line = np.minimum(np.arange(size), np.arange(size)[::-1]) / (_FEATHER * size)
    alpha = np.clip(np.minimum(line[:, None], line[None, :]), 0, 1).astype(np.float32)
    source: NDArray[Any] = face.image.astype(np.float32)
    if scale < 1:  # warpAffine does not average
        source = cv2.GaussianBlur(source, (0, 0), 0.45 / scale)
    matrix = np.concatenate([turn, shift[:, None]], 1)
    pasted = cv2.warpAffine(source, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(alpha, matrix, (width, height), flags=cv2.INTER_LINEAR)
    ground = _ground(rng, width, height)
    photograph = ground + (pasted - ground) * cover[..., None]
    return (np.clip(photograph, 0, 255) + 0.5).astype(np.uint8), points + shift
