"""The frontal face plane: 68 landmarks of a person with an expression, in units of the picture before the pose.

The averages are proportions of faces aligned as FFHQ aligns them. Points come in the iBUG order; left is image-left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .identity import Identity
from .paint import FloatArray, spline
from .shot import Expression
from .traits import Brows, Shape

# Half widths of the head and their heights: ear to chin (iBUG 0..8), then up over the skull.
_JAW_HALF = np.array([0.283, 0.281, 0.276, 0.263, 0.238, 0.197, 0.144, 0.078, 0.0])
_JAW_Y = np.array([0.503, 0.577, 0.650, 0.724, 0.793, 0.856, 0.908, 0.946, 0.958])
_SKULL_HALF = np.array([0.284, 0.281, 0.268, 0.236, 0.175, 0.094, 0.0])
_SKULL_Y = np.array([0.43, 0.34, 0.25, 0.16, 0.085, 0.045, 0.03])

EYE_Y = 0.474
MOUTH_Y = 0.735


@dataclass(frozen=True)
class Eye:
    """One eye: centre, axes and lid points in units. `side` is -1 for image-left; the u axis points to the temple."""

    side: int
    centre: FloatArray  # (2,)
    half_width: float
    height: float  # of a fully open eye
    upper: FloatArray  # curve from outer to inner corner
    lower: FloatArray
    corners: FloatArray  # (2, 2) outer, inner
    lid: float
    tilt: float

    def place(self, u: FloatArray | float, v: FloatArray | float) -> FloatArray:
        """Return points (..., 2) at `u` half widths towards the temple and `v` eye heights downwards."""
        u, v = np.broadcast_arrays(np.asarray(u, np.float64), np.asarray(v, np.float64))
        dx, dy = u * self.half_width, v * self.height
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        return np.stack([self.centre[0] + self.side * (dx * cos + dy * sin), self.centre[1] + dy * cos - dx * sin], -1)

    @property
    def outline(self) -> FloatArray:
        """The opening between the lids, a closed outline (N, 2)."""
        return np.concatenate([self.upper, self.lower[1:-1][::-1]])


@dataclass(frozen=True)
class FaceGeometry:
    """Landmarks and the outline of the head in the frontal plane."""

    landmarks: FloatArray  # (68, 2)
    eyes: tuple[Eye, Eye]
    outline: FloatArray  # closed curve of head and jaw
    drop: float  # how far the chin went down


def chin_drop(expression: Expression) -> float:
    """Return how far the open mouth lowers the chin, in units."""
    return 0.042 * expression.mouth_open


def jaw_curve(shape: Shape, drop: float) -> tuple[FloatArray, FloatArray]:
    """Return half widths and heights (9,) of the jaw from ear to chin."""
    t = np.clip((_JAW_Y - 0.60) / 0.30, 0.0, 1.0)
    half = _JAW_HALF * shape.width * (1 + 0.10 * shape.jaw * np.sin(np.pi * np.clip(t * 0.75, 0, 1)))
    y = 0.735 + (_JAW_Y - 0.735) * np.where(_JAW_Y > 0.735, shape.chin, 1.0)
    return half, y + drop * np.clip((_JAW_Y - 0.68) / 0.2, 0.0, 1.0)


def _jaw(shape: Shape, drop: float) -> tuple[FloatArray, FloatArray]:
    half, y = jaw_curve(shape, drop)
    x = np.concatenate([0.5 - half, (0.5 + half)[-2::-1]])
    jaw = np.stack([x, np.concatenate([y, y[-2::-1]])], 1)
    skull_half = _SKULL_HALF * shape.width
    right = np.stack([0.5 + skull_half, _SKULL_Y], 1)
    left = np.stack([0.5 - skull_half[-2::-1], _SKULL_Y[-2::-1]], 1)
    ring = np.concatenate([jaw, right, left])
    ring_long = np.concatenate([ring[-2:], ring, ring[:3]])
    curve = spline(ring_long, 6)
    return jaw, curve[12 : 12 + 6 * len(ring)]


def _brow(brows: Brows, eye: Eye, raised: float) -> FloatArray:
    """Return five points (5, 2) of the brow from the temple to the nose."""
    x = np.array([0.102, 0.073, 0.026, -0.030, -0.078]) * np.array([brows.length, brows.length, 1.0, 1.0, 1.0])
    y = np.array([-0.034, -0.064, -0.078, -0.076, -0.066])
    y = y - brows.arch * np.array([-0.003, 0.007, 0.008, 0.000, -0.003])
    y = y + brows.slant * np.array([-0.006, -0.004, 0.0, 0.002, 0.003])
    y = y - brows.height - raised * np.array([0.008, 0.014, 0.014, 0.012, 0.009])
    return np.stack([eye.centre[0] + eye.side * x, EYE_Y + y], 1)


def _nose(shape: Shape, smile: float) -> FloatArray:
    length = shape.nose_length
    bridge = np.stack([np.full(4, 0.5), 0.462 + (np.array([0.462, 0.507, 0.552, 0.598]) - 0.462) * length], 1)
    half = np.array([-0.055, -0.028, 0.0, 0.028, 0.055]) * shape.nose_width * (1 + 0.08 * max(smile, 0.0))
    base = 0.462 + (np.array([0.640, 0.650, 0.657, 0.650, 0.640]) - 0.462) * length
    return np.concatenate([bridge, np.stack([0.5 + half, base], 1)])


def _eye(shape: Shape, side: int, lid: float, smile: float, gaze_y: float) -> tuple[Eye, FloatArray]:
    """Return the eye and its six points: outer corner, outer top, inner top, inner corner, inner low, outer low."""
    half_width = 0.0485 * shape.eye_size
    height = 0.0345 * shape.eye_size * shape.eye_height
    centre = np.array([0.5 + side * 0.119 * shape.eye_spacing, EYE_Y])
    opened = lid * (1.0 + 0.10 * gaze_y * -1.0)
    top = 0.60 * opened - 0.12 * (1 - opened)
    low = 0.34 - 0.10 * max(smile, 0.0) + 0.10 * (1 - lid)
    blank = Eye(side, centre, half_width, height, np.empty(0), np.empty(0), np.empty(0), lid, shape.eye_tilt)
    u = np.array([1.0, 0.38, -0.36, -1.0, -0.36, 0.38])
    v = np.array([0.02, -top, -top * 0.96, 0.10, low * 0.92, low])
    points = blank.place(u, v)
    upper = spline(points[:4], 8)
    lower = spline(points[[0, 5, 4, 3]], 8)
    return Eye(side, centre, half_width, height, upper, lower, points[[0, 3]], lid, shape.eye_tilt), points


def _mouth(shape: Shape, expression: Expression) -> FloatArray:
    """Return points 48..67: outer outline clockwise from image-left, then the inner one."""
    smile, opened = expression.smile, expression.mouth_open
    wide = 0.104 * shape.mouth_width * (1 + 0.13 * smile - 0.10 * opened)
    thin = 1 - 0.22 * max(smile, 0.0)
    up, low = 0.024 * shape.upper_lip * thin, 0.033 * shape.lower_lip * thin
    gap = 0.052 * opened
    y = MOUTH_Y + shape.mouth_height
    corner = y - 0.013 * smile + 0.35 * gap
    inner_top = y + 0.002 + 0.004 * smile - 0.10 * gap
    inner_low = inner_top + gap + 0.001
    peak = inner_top - up
    dip = peak + up * (0.08 + 0.30 * shape.cupid_bow)
    bottom = inner_low + low
    outer = [
        (-1.0, corner),
        (-0.62, corner + 0.70 * (peak - corner)),
        (-0.25, peak),
        (0.0, dip),
        (0.25, peak),
        (0.62, corner + 0.70 * (peak - corner)),
        (1.0, corner),
        (0.62, corner + 0.76 * (bottom - corner)),
        (0.28, bottom - 0.02 * low),
        (0.0, bottom),
        (-0.28, bottom - 0.02 * low),
        (-0.62, corner + 0.76 * (bottom - corner)),
    ]
    inner = [
        (-0.86, corner + 0.001),
        (-0.30, inner_top + 0.12 * (corner - inner_top) - 0.001),
        (0.0, inner_top),
        (0.30, inner_top + 0.12 * (corner - inner_top) - 0.001),
        (0.86, corner + 0.001),
        (0.30, inner_low + 0.12 * (corner - inner_low)),
        (0.0, inner_low),
        (-0.30, inner_low + 0.12 * (corner - inner_low)),
    ]
    points = np.array(outer + inner)
    points[:, 0] = 0.5 + points[:, 0] * wide
    return points


def face_geometry(identity: Identity, expression: Expression) -> FaceGeometry:
    """Return the frontal geometry of `identity` with `expression`."""
    shape, drop = identity.shape, chin_drop(expression)
    jaw, outline = _jaw(shape, drop)
    left, left_points = _eye(shape, -1, expression.lid_left, expression.smile, expression.gaze_y)
    right, right_points = _eye(shape, 1, expression.lid_right, expression.smile, expression.gaze_y)
    points = np.concatenate(
        [
            jaw,
            _brow(identity.brows, left, expression.brow_raise),
            _brow(identity.brows, right, expression.brow_raise)[::-1],
            _nose(shape, expression.smile),
            left_points,
            right_points[[3, 2, 1, 0, 5, 4]],
            _mouth(shape, expression),
        ]
    )
    return FaceGeometry(points, (left, right), outline, drop)
