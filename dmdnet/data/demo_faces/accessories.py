"""Glasses and jewels on the front of the face."""

from __future__ import annotations

import numpy as np

from .geometry import FaceGeometry
from .identity import Identity
from .layer import Layer
from .paint import FloatArray, Frame, closed_spline, over, spline, tint
from .traits import Glasses

_OUTLINES = {
    "round": [
        (1.0, 0.0),
        (0.72, 0.78),
        (0.0, 1.08),
        (-0.72, 0.78),
        (-1.0, 0.0),
        (-0.72, -0.78),
        (0.0, -1.05),
        (0.72, -0.78),
    ],
    "oval": [
        (1.1, -0.05),
        (0.8, 0.55),
        (0.0, 0.80),
        (-0.8, 0.55),
        (-1.05, -0.05),
        (-0.8, -0.58),
        (0.0, -0.75),
        (0.8, -0.60),
    ],
    "square": [
        (1.12, -0.1),
        (1.02, 0.62),
        (0.4, 0.84),
        (-0.4, 0.84),
        (-0.98, 0.62),
        (-1.05, -0.1),
        (-1.02, -0.72),
        (0.0, -0.80),
        (1.1, -0.76),
    ],
    "half": [
        (1.10, -0.1),
        (0.85, 0.60),
        (0.0, 0.82),
        (-0.85, 0.60),
        (-1.05, -0.1),
        (-1.0, -0.62),
        (0.0, -0.72),
        (1.08, -0.68),
    ],
}


def lens_outline(glasses: Glasses, centre: FloatArray, side: int) -> FloatArray:
    """Return the closed outline of one lens."""
    points = np.array(_OUTLINES[glasses.shape]) * (0.078, 0.070) * glasses.size
    return closed_spline(np.array([centre[0] + side * 0.004, centre[1] + 0.012]) + points * (side, 1), 6)


def paint_glasses(layer: Layer, identity: Identity, face: FaceGeometry) -> None:
    """Paint glasses, if the person wears any: lenses, rims, bridge and temples with their shadow."""
    glasses = identity.glasses
    if glasses is None:
        return
    frame = layer.frame.within(0.15, 0.36, 0.85, 0.62)
    part = layer.part(frame)
    rims: FloatArray = np.zeros((frame.height, frame.width), np.float32)
    glass: FloatArray = np.zeros_like(rims)
    for eye in face.eyes:
        ring = lens_outline(glasses, eye.centre, eye.side)
        middle = ring.mean(0)
        inner = (ring - middle) * (1 - glasses.thickness / 0.075) + middle
        hole = frame.polygon(inner)
        rim = np.clip(frame.polygon(ring) - hole, 0, 1)
        if glasses.shape == "half":
            rim = rim * _upper_half(frame, middle[1])
        rims, glass = np.maximum(rims, rim), np.maximum(glass, hole)
        end = np.array([0.5 + eye.side * 0.30 * identity.shape.width, middle[1] - 0.022])
        start = ring[np.argmax(eye.side * ring[:, 0])] + (0, -0.012)
        rims = np.maximum(rims, frame.strokes([np.stack([start, end])], [glasses.thickness * 1.2]))
    bridge = spline(np.array([(0.455, 0.474), (0.5, 0.459), (0.545, 0.474)]), 8)
    rims = np.maximum(rims, frame.strokes([bridge, bridge[::-1]], [glasses.thickness, glasses.thickness]))
    shift = max(int(0.008 * frame.scale), 1)
    shadow = np.roll(frame.blur(rims, 0.004), shift, axis=0)
    tint(part, (0.55, 0.48, 0.46), np.clip(shadow - rims, 0, 1) * 0.6)
    over(part, (0.92, 0.96, 1.0), glass * 0.045)
    x, y = frame.grid()
    glare = glass * np.clip(1 - np.abs(((x - 0.5) + 0.55 * (y - 0.47)) % 0.24 - 0.05) / 0.012, 0, 1)
    over(part, (1.0, 1.0, 1.0), glare.astype(np.float32) * 0.12)
    over(part, glasses.colour, rims)
    layer.frame.cut(layer.gloss, frame)[...] *= 1 - 0.5 * rims


def _upper_half(frame: Frame, y0: float) -> FloatArray:
    _, y = frame.grid()
    return np.clip((y0 + 0.012 - y) * 60 + 0.5, 0.0, 1).astype(np.float32)


def _bead(layer: Layer, x: float, y: float, radius: float) -> None:
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    frame = layer.frame.around(np.array([[x, y]]), 2.5 * radius)
    tint(
        layer.part(frame),
        (0.5, 0.45, 0.42),
        frame.blur(frame.polygon(circle * radius * 1.3 + (x, y + 0.4 * radius)), 0.002) * 0.8,
    )
    over(layer.part(frame), (0.72, 0.72, 0.76), frame.polygon(circle * radius + (x, y)))
    over(
        layer.part(frame), (1.0, 1.0, 1.0), frame.polygon(circle * radius * 0.4 + (x - 0.25 * radius, y - 0.3 * radius))
    )


def paint_jewels(layer: Layer, identity: Identity, face: FaceGeometry) -> None:
    """Paint studs at nose, lip and brow."""
    jewels, points = identity.jewels, face.landmarks
    if jewels.nose_stud:
        wing = points[33 + 2 * jewels.nose_stud]
        _bead(layer, wing[0] - 0.004 * jewels.nose_stud, wing[1] - 0.016, 0.0055)
    if jewels.lip_ring:
        _bead(layer, 0.5 + 0.032 * jewels.lip_ring, points[57, 1] + 0.006, 0.0062)
    if jewels.brow_ring:
        tail = points[18 if jewels.brow_ring < 0 else 25]
        _bead(layer, tail[0], tail[1] - 0.010, 0.0050)
        _bead(layer, tail[0] + 0.003 * jewels.brow_ring, tail[1] + 0.020, 0.0050)
