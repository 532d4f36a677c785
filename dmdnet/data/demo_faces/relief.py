"""The relief of a face: height over the frontal plane, from which the pose warp and the shading follow."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .geometry import FaceGeometry, jaw_curve
from .identity import Identity
from .paint import FloatArray, blur, bump, smoothstep

LOW, HIGH = -0.15, 1.15  # the part of the plane that is modelled, in units
CELLS = 176
_DOME = 0.23


@dataclass(frozen=True)
class Relief:
    """Heights (CELLS, CELLS) float32 in units on the square LOW..HIGH; `dome` is the head without its features."""

    height: FloatArray
    dome: FloatArray

    def at(self, points: FloatArray) -> FloatArray:
        """Return the height at `points` (N, 2)."""
        cells = to_cells(np.asarray(points, np.float64)).astype(np.float32)
        return cv2.remap(self.height, cells[None, :, 0], cells[None, :, 1], cv2.INTER_LINEAR)[0].astype(np.float64)


def to_cells(points: FloatArray) -> FloatArray:
    """Return unit coordinates as positions in the relief's grid (cell centres at whole numbers)."""
    return (points - LOW) * (CELLS / (HIGH - LOW)) - 0.5


def grid() -> tuple[FloatArray, FloatArray]:
    """Return unit coordinates x (1, CELLS) and y (CELLS, 1) of the grid, float32."""
    line = (LOW + (np.arange(CELLS) + 0.5) * (HIGH - LOW) / CELLS).astype(np.float32)
    return line[None, :], line[:, None]


def _dome(identity: Identity, face: FaceGeometry, x: FloatArray, y: FloatArray) -> FloatArray:
    half, heights = jaw_curve(identity.shape, face.drop)
    # A round head behind the jaw: the jaw's own outline would fold the chin.
    width: FloatArray = np.interp(y[:, 0], [0.0, 0.15, 0.35, 0.6, 0.8, 0.95], [0.24, 0.27, 0.29, 0.292, 0.285, 0.27])
    width = (width * identity.shape.width).astype(np.float32)[:, None]
    across = np.abs(x - 0.5) / width
    dome = _DOME * (1 - np.minimum(across, 1.25) ** 2.3)
    along = np.where(y < 0.5, (0.5 - y) / 0.52, (y - 0.5) / 0.9)
    dome = dome - 0.16 * np.minimum(along, 1.2) ** 2.6
    edge = np.interp(x[0], 0.5 + np.concatenate([-half, half[-2::-1]]), np.concatenate([heights, heights[-2::-1]]))
    below = y - edge.astype(np.float32)[None, :]
    return dome - 0.03 * smoothstep(-0.05, 0.03, below) * smoothstep(0.60, 0.80, y)


def _nose(identity: Identity, points: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    shape = identity.shape
    top, tip, base = points[27, 1], points[30, 1], points[33, 1]
    wing = points[35, 0] - 0.5
    rise = smoothstep(top - 0.05, tip + 0.005, y) ** 1.2 * (1 - smoothstep(tip + 0.006, base + 0.012, y))
    spread = 0.017 + 0.012 * smoothstep(top, tip, y)
    ridge = np.exp(-0.5 * ((x - 0.5) / spread) ** 2)
    nose = 0.078 * shape.nose_relief * rise * ridge
    nose = nose + 0.022 * bump(x, y, 0.5, tip + 0.012, 0.026 * shape.nose_width, 0.022)
    for side in (-1, 1):
        nose = nose + 0.030 * bump(x, y, 0.5 + side * wing * 0.86, base - 0.024, 0.018, 0.019)
    return nose


def _eyes(identity: Identity, face: FaceGeometry, x: FloatArray, y: FloatArray) -> FloatArray:
    relief = np.zeros((CELLS, CELLS), np.float32)
    for eye in face.eyes:
        cx, cy = eye.centre
        relief -= 0.026 * bump(x, y, cx - eye.side * 0.012, cy - 0.012, 0.052, 0.036)
        relief += 0.020 * bump(x, y, cx, cy, 0.036, 0.024)
        relief -= 0.006 * bump(x, y, cx - eye.side * 0.02, cy + 0.045, 0.04, 0.012) * (0.4 + identity.skin.wrinkles)
        relief += 0.011 * bump(x, y, cx - eye.side * 0.005, cy - 0.075, 0.062, 0.020) * (1.3 - 0.8 * identity.feminine)
        cheek = 0.022 * identity.shape.cheeks
        relief += 0.012 * bump(x, y, 0.5 + eye.side * 0.205, 0.565, 0.045, 0.030)
        relief -= 0.010 * (1.4 - 0.7 * identity.shape.cheeks) * bump(x, y, 0.5 + eye.side * 0.185, 0.715, 0.035, 0.055)
        relief += cheek * bump(x, y, 0.5 + eye.side * 0.165, 0.615, 0.06, 0.055)
    return relief


def _mouth(points: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    top, bottom = points[51, 1], points[57, 1]
    line, low = points[62, 1], points[66, 1]
    half = points[54, 0] - 0.5
    relief = 0.024 * bump(x, y, 0.5, 0.5 * (top + bottom), half * 0.95, 0.065)
    narrow = half * 0.55
    relief += 0.011 * bump(x, y, 0.5, 0.5 * (top + line), narrow, 0.45 * (line - top) + 0.003)
    relief += 0.016 * bump(x, y, 0.5, 0.5 * (low + bottom), narrow, 0.38 * (bottom - low) + 0.003)
    relief -= 0.013 * bump(x, y, 0.5, bottom + 0.020, 0.055, 0.014)
    relief += 0.022 * bump(x, y, 0.5, points[8, 1] - 0.043, 0.060, 0.032)
    relief -= 0.006 * bump(x, y, 0.5, top - 0.022, 0.009, 0.018)
    for side in (-1, 1):
        relief -= 0.010 * bump(x, y, 0.5 + side * (half + 0.010), points[48, 1], 0.012, 0.016)
    return relief


def face_relief(identity: Identity, face: FaceGeometry, smile: float) -> Relief:
    """Return the relief of `identity` in the expression that `face` has."""
    x, y = grid()
    dome = _dome(identity, face, x, y)
    points = face.landmarks
    height = dome + _nose(identity, points, x, y) + _eyes(identity, face, x, y) + _mouth(points, x, y)
    for side in (-1, 1):
        height = height + 0.012 * max(smile, 0.0) * bump(x, y, 0.5 + side * 0.135, 0.64, 0.035, 0.035)
    return Relief(blur(height.astype(np.float32), 0.7), dome.astype(np.float32))
