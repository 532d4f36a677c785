"""The pose: rotation of the relief, weak perspective, and the alignment that FFHQ gives to a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .paint import FloatArray
from .relief import HIGH, LOW, Relief, to_cells
from .shot import Pose

_PIVOT = np.array([0.5, 0.6])
_MAP_CELLS = 160
_STEPS = 10


def rotation(pose: Pose) -> FloatArray:
    """Return the 3x3 rotation of the head; axes x to image-right, y down, z towards the viewer."""
    cy, sy = np.cos(pose.yaw), np.sin(pose.yaw)
    cp, sp = np.cos(pose.pitch), np.sin(pose.pitch)
    turn = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    nod = np.array([[1.0, 0.0, 0.0], [0.0, cp, sp], [0.0, -sp, cp]])
    return nod @ turn


@dataclass(frozen=True)
class Projection:
    """Maps face points to the picture: `plane` (2, 2) @ (x, y) + `depth` (2,) * z + `offset` (2,), all in units."""

    plane: FloatArray
    depth: FloatArray
    offset: FloatArray

    def points(self, points: FloatArray, z: FloatArray | float) -> FloatArray:
        """Return `points` (N, 2) of height `z` (N,) in the picture."""
        z = np.broadcast_to(np.asarray(z, np.float64), (len(points),))
        return np.asarray(points) @ self.plane.T + z[:, None] * self.depth + self.offset

    def inverse_affine(self, z: float) -> FloatArray:
        """Return the 2x3 matrix from the picture to the face plane at constant height `z`."""
        inverse = np.linalg.inv(self.plane)
        return np.concatenate([inverse, (-inverse @ (self.offset + z * self.depth))[:, None]], 1)


def _alignment(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the similarity (2x2, offset) that puts `points` (68, 2) where FFHQ's alignment puts them."""
    left, right = points[36:42].mean(0), points[42:48].mean(0)
    eyes, mouth = (left + right) / 2, (points[48] + points[54]) / 2
    between, down = right - left, mouth - eyes
    axis = between - down[::-1] * (-1.0, 1.0)
    axis *= max(np.hypot(*between) * 2.0, np.hypot(*down) * 1.8) / np.hypot(*axis)
    corner_axes = np.stack([2 * axis, 2 * axis[::-1] * (-1.0, 1.0)], 1)
    matrix = np.linalg.inv(corner_axes)
    return matrix, 0.5 - matrix @ (eyes + 0.1 * down)


def project(pose: Pose, points: FloatArray, z: FloatArray) -> Projection:
    """Return the projection that rotates the head by `pose`, aligns it and adds the pose's small misalignment."""
    turn = rotation(pose)
    first = Projection(turn[:2, :2], turn[:2, 2], _PIVOT - turn[:2, :2] @ _PIVOT)
    matrix, offset = _alignment(first.points(points, z))
    cos, sin = np.cos(pose.roll) * pose.scale, np.sin(pose.roll) * pose.scale
    jitter = np.array([[cos, -sin], [sin, cos]])
    matrix = jitter @ matrix
    offset = jitter @ (offset - 0.5) + 0.5 + (pose.dx, pose.dy)
    return Projection(matrix @ first.plane, matrix @ first.depth, matrix @ first.offset + offset)


def inverse_map(projection: Projection, relief: Relief) -> FloatArray:
    """Return face-plane coordinates (N, N, 2) float32 for a coarse grid of picture points spanning LOW..HIGH.

    Solves p = plane q + depth z(q) + offset by fixed-point steps; the relief is flat enough for them to converge.
    """
    line = LOW + (np.arange(_MAP_CELLS) + 0.5) * (HIGH - LOW) / _MAP_CELLS
    picture = np.stack(np.meshgrid(line, line), -1)
    inverse = np.linalg.inv(projection.plane)
    flat: FloatArray = ((picture - projection.offset) @ inverse.T).astype(np.float32)
    lean = (inverse @ projection.depth).astype(np.float32)
    q: FloatArray = flat
    for _ in range(_STEPS):
        cells = to_cells(q)
        z = cv2.remap(relief.height, cells[..., 0], cells[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        q = 0.25 * q + 0.75 * (flat - z[..., None] * lean)
    return q


def picture_bounds(coarse: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the corners of the part of the face plane that is seen, from `inverse_map`, with a small margin."""
    edge = int(np.floor(-LOW / (HIGH - LOW) * _MAP_CELLS)) - 1
    seen = coarse[edge : _MAP_CELLS - edge, edge : _MAP_CELLS - edge].reshape(-1, 2)
    return seen.min(0) - 0.01, seen.max(0) + 0.01


def dense_map(coarse: FloatArray, size: int, scale: float, corner: tuple[float, float]) -> FloatArray:
    """Return `coarse` (from `inverse_map`) at the `size` x `size` pixel centres of the picture, float32.

    The answer is in pixels of a frame with `scale` pixels a unit whose first pixel centre lies at `corner`.
    """
    step = (1.0 / size) * _MAP_CELLS / (HIGH - LOW)
    start = (0.5 / size - LOW) * _MAP_CELLS / (HIGH - LOW) - 0.5
    matrix = np.array([[step, 0.0, start], [0.0, step, start]], np.float32)
    pixels = coarse * np.float32(scale) - np.array(corner, np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(pixels, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
