"""Beards: stubble, moustache, goatee and full."""

from __future__ import annotations

import cv2
import numpy as np

from .geometry import FaceGeometry
from .identity import Identity
from .layer import Layer
from .mouth import lip_outlines
from .paint import FloatArray, Frame, closed_spline, noise_plane, sample_plane, smoothstep


def _moustache(points: FloatArray) -> FloatArray:
    """Return the outline of the moustache, closed (N, 2)."""
    half = points[54, 0] - 0.5
    nose, corner, lip = points[33, 1], points[54, 1], points[52, 1]
    right = [
        (0.0, nose + 0.014),
        (0.35, nose + 0.011),
        (0.75, nose + 0.030),
        (1.06, corner - 0.006),
        (1.12, corner + 0.018),
    ]
    right += [(0.98, corner + 0.012), (0.7, 0.5 * (corner + lip) + 0.004), (0.3, lip + 0.006), (0.0, lip + 0.008)]
    return _mirrored(np.array(right) * (half, 1.0))


def _goatee(points: FloatArray) -> FloatArray:
    half = points[54, 0] - 0.5
    corner, low, chin = points[54, 1], points[57, 1], points[8, 1]
    right = [
        (0.0, low + 0.012),
        (0.45, low + 0.010),
        (0.85, corner + 0.006),
        (1.14, corner + 0.004),
        (1.12, low + 0.01),
    ]
    right += [(0.98, chin - 0.045), (0.6, chin - 0.004), (0.0, chin + 0.012)]
    return _mirrored(np.array(right) * (half, 1.0))


def _full(points: FloatArray) -> FloatArray:
    wide, half = points[15, 0] - 0.5, points[54, 0] - 0.5
    corner, low = points[54, 1], points[57, 1]
    right = [(0.0, low + 0.014), (0.5 * half, low + 0.012), (1.0 * half, corner + 0.004), (1.28 * half, corner - 0.036)]
    right += [
        (wide - 0.050, 0.655),
        (wide - 0.026, 0.57),
        (wide - 0.016, 0.44),
        (wide + 0.02, 0.44),
        (wide + 0.03, 0.70),
    ]
    right += [(0.16, points[8, 1] + 0.04), (0.0, points[8, 1] + 0.06)]
    return _mirrored(np.array(right))


def _mirrored(right: FloatArray) -> FloatArray:
    left = right[::-1][1:-1] * (-1.0, 1.0)
    return closed_spline(np.concatenate([right, left]) + np.array([0.5, 0.0]), 6)


_AREAS = {
    "moustache": (_moustache,),
    "goatee": (_moustache, _goatee),
    "stubble": (_moustache, _full),
    "full": (_moustache, _full),
}


def _mask(frame: Frame, style: str, face: FaceGeometry, hairs: FloatArray) -> FloatArray:
    """Return where the beard grows, (H, W) in 0..1, with ragged edges."""
    area = np.zeros((frame.height, frame.width), np.float32)
    for outline in _AREAS[style]:
        np.maximum(area, frame.polygon(outline(face.landmarks)), out=area)
    soft = frame.blur(area, 0.013 if style in ("full", "stubble") else 0.007)
    ragged = smoothstep(0.30, 0.78, soft + 0.13 * hairs * (soft < 0.95))
    lips = frame.polygon(lip_outlines(face.landmarks[48:68])[0])
    return ragged * (1 - frame.blur(lips, 0.002))


def paint_beard(layer: Layer, identity: Identity, face: FaceGeometry) -> None:
    """Paint the person's beard, if there is one."""
    beard = identity.beard
    if beard.style == "none":
        return
    frame = layer.frame.within(0.18, 0.42, 0.82, 1.06)
    part, gloss = layer.part(frame), layer.frame.cut(layer.gloss, frame)
    x, y = frame.grid()
    plane = noise_plane(identity.stream(3), 256, 0.7)
    aside = x - np.float32(0.5)
    hairs = sample_plane(plane, aside * 560 + 150 * aside * (y - 0.6), y * 170 + 60 * np.abs(aside))
    mask = _mask(frame, beard.style, face, hairs)
    colour = np.asarray(identity.hair.colour, np.float32) * np.float32(0.88)
    if beard.style == "stubble":
        alpha = mask * np.float32(0.34 * beard.density) * (0.75 + 0.40 * hairs)
        tone = cv2.merge([np.full_like(mask, channel) for channel in colour])
    else:
        alpha = mask * np.float32(0.60 + 0.36 * beard.density) * (0.90 + 0.14 * hairs)
        shade = 1 + np.float32(0.24) * hairs
        tone = cv2.merge([shade * channel for channel in colour])
    alpha = np.clip(alpha, 0, 0.97)
    part[...] = cv2.blendLinear(tone, part, alpha, 1 - alpha)
    gloss *= 1 - np.float32(0.7) * mask
