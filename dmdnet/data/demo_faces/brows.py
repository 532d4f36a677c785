"""Brows, drawn hair by hair."""

from __future__ import annotations

import numpy as np

from .identity import Identity
from .layer import Layer
from .paint import FloatArray, over, spline

_BELOW = 0.011  # the landmarks lie along the upper edge, as annotators put them


def _hairs(identity: Identity, points: FloatArray, side: int) -> FloatArray:
    """Return the hairs (M, 3, 2) of one brow whose landmarks are `points` (5, 2), temple to nose."""
    brows = identity.brows
    rng = identity.stream(14 if side < 0 else 15)
    spine = spline(points, 12) + np.array([0.0, _BELOW])
    tangent = np.gradient(spine, axis=0)
    tangent /= np.hypot(tangent[:, :1], tangent[:, 1:])
    up = np.stack([tangent[:, 1], -tangent[:, 0]], 1)
    up *= np.sign(-up[:, 1:])
    count = int(90 + 130 * brows.density)
    t = np.sort(rng.uniform(0.0, 1.0, count))
    thick = 0.0115 * brows.thickness * np.minimum(1.0, 0.2 + 1.7 * t) * np.minimum(1.0, 0.6 + 5.0 * (1 - t))
    across = rng.uniform(-1, 1, count) * thick
    lengths = rng.uniform(0.011, 0.020, count) * (0.8 + 0.35 * brows.bushiness)
    rise = np.where(t > 0.86, rng.uniform(0.3, 0.9, count), -np.sign(across) * rng.uniform(0.1, 0.4, count))
    rise = rise * (0.45 + 0.6 * brows.bushiness)
    if brows.slit >= 0 and side == brows.slit_side:
        kept = np.abs(1 - t - brows.slit) > 0.05
        t, across, lengths, rise = t[kept], across[kept], lengths[kept], rise[kept]
    index = np.minimum((t * (len(spine) - 1)).astype(int), len(spine) - 1)
    roots = spine[index] + up[index] * across[:, None]
    tips = roots + (up[index] * rise[:, None] - tangent[index]) * lengths[:, None]
    return np.stack([roots, (roots + tips) / 2 + up[index] * lengths[:, None] * 0.08, tips], 1)


def paint_brow(layer: Layer, identity: Identity, points: FloatArray, side: int) -> None:
    """Paint the brow on `side` (-1 image-left) along its landmarks `points` (5, 2), temple to nose."""
    brows = identity.brows
    hairs = _hairs(identity, points, side)
    frame = layer.frame.around(points, 0.045)
    mask = frame.hairs(hairs, np.full(len(hairs), 0.0029))
    base = frame.blur(mask, 0.005)
    part = layer.part(frame)
    over(part, brows.colour, base * np.float32(0.5 * brows.density))
    over(part, brows.colour, mask * np.float32(0.45 + 0.4 * brows.density))
    layer.frame.cut(layer.gloss, frame)[...] *= 1 - base * 0.8
