"""What is drawn of the nose: nostrils and the folds of its wings. Its body is in the relief."""

from __future__ import annotations

import numpy as np

from .geometry import FaceGeometry
from .identity import Identity
from .layer import Layer
from .paint import closed_spline, spline, tint


def paint_nose(layer: Layer, identity: Identity, face: FaceGeometry) -> None:
    """Paint nostrils and wing folds."""
    points = face.landmarks
    base = points[33, 1]
    wing = points[35, 0] - 0.5
    frame = layer.frame.within(0.5 - 2 * wing, base - 0.06, 0.5 + 2 * wing, base + 0.03)
    part = layer.part(frame)
    for side in (-1, 1):
        hole = np.array(
            [(0.25, -0.004), (0.36, -0.0125), (0.60, -0.0135), (0.75, -0.008), (0.62, -0.003), (0.40, 0.000)]
        )
        hole = closed_spline(np.stack([0.5 + side * wing * hole[:, 0], base - 0.006 + hole[:, 1]], 1), 6)
        mask = frame.blur(frame.polygon(hole), 0.0026)
        tint(part, (0.24, 0.14, 0.13), np.minimum(mask * 1.15, 1) * 0.92)
        fold = np.array([(0.92, -0.043), (1.11, -0.033), (1.14, -0.019), (1.02, -0.009), (0.83, -0.006)])
        fold = spline(np.stack([0.5 + side * wing * fold[:, 0], base - 0.004 + fold[:, 1]], 1), 6)
        mask = frame.strokes([fold, fold[::-1]], [0.005, 0.007])
        mask = 0.55 * frame.blur(mask, 0.0016) + 0.65 * frame.blur(mask, 0.0055)
        tint(part, (0.62, 0.48, 0.44), np.minimum(mask, 1) * np.float32(0.75 + 0.2 * identity.skin.wrinkles))
    under = np.array([(-0.62, 0.001), (-0.3, 0.0025), (0.0, 0.006), (0.3, 0.0025), (0.62, 0.001)])
    under = spline(np.stack([0.5 + wing * under[:, 0], base - 0.004 + under[:, 1]], 1), 6)
    mask = frame.blur(frame.strokes([under, under[::-1]], [0.006, 0.006]), 0.004)
    tint(part, (0.66, 0.54, 0.50), np.minimum(mask * 1.2, 1))
