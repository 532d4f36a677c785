"""Skin: tone, redness, pores, wrinkles, freckles, moles, blush and beards."""

from __future__ import annotations

import numpy as np

from .beard import paint_beard
from .geometry import EYE_Y, FaceGeometry
from .identity import Identity
from .layer import Layer
from .paint import FloatArray, bump, noise_plane, sample_plane, spline, tint
from .relief import CELLS, grid
from .shot import Expression


def _tone(identity: Identity, face: FaceGeometry) -> FloatArray:
    """Return the skin's colour on the relief's grid, (CELLS, CELLS, 3)."""
    x, y = grid()
    skin = identity.skin
    red: FloatArray = np.zeros((CELLS, CELLS), np.float32)
    points = face.landmarks
    for side in (-1, 1):
        red = red + 0.8 * bump(x, y, 0.5 + side * 0.165, 0.61, 0.055, 0.05)
        red = red + 0.5 * identity.make_up.blush * bump(x, y, 0.5 + side * 0.19, 0.585, 0.05, 0.035)
    red = red + 0.9 * bump(x, y, 0.5, points[30, 1] + 0.015, 0.035, 0.025)
    red = red + 0.4 * bump(x, y, 0.5, points[8, 1] - 0.05, 0.05, 0.03)
    tired = np.zeros_like(red)
    for eye in face.eyes:
        tired = tired + bump(x, y, eye.centre[0] - eye.side * 0.015, EYE_Y + 0.03, 0.035, 0.014)
    red = red * (0.35 + 0.65 * skin.redness)
    base = np.asarray(skin.colour, np.float32)
    blotches = 0.018 * sample_plane(noise_plane(identity.stream(4), 64, 1.0), x * 50, y * 50)[..., None]
    tone = base * (1 + blotches + red[..., None] * np.array([0.015, -0.085, -0.075], np.float32))
    return tone * (1 - (0.10 + 0.10 * skin.wrinkles) * tired[..., None] * np.array([0.7, 1.0, 0.8], np.float32))


def _lines(identity: Identity, face: FaceGeometry, expression: Expression) -> tuple[list[FloatArray], list[float]]:
    """Return wrinkle strokes with strengths: forehead, crow's feet, nose to mouth, under the eyes."""
    rng = identity.stream(1)
    points = face.landmarks
    lines, strengths = [], []
    age = identity.skin.wrinkles
    smile = max(expression.smile, 0.0)
    for row in range(3):
        y = 0.335 - 0.036 * row + rng.uniform(-0.006, 0.006) - 0.006 * expression.brow_raise
        ends = np.sort(rng.uniform(0.36, 0.64, 2)) + np.array([-0.07, 0.07])
        x = np.linspace(ends[0], ends[1], 6)
        lines.append(spline(np.stack([x, y + rng.uniform(-0.004, 0.004, 6)], 1), 5))
        strengths.append(0.75 * age * (0.6 + 0.6 * max(expression.brow_raise, 0)))
    for eye in face.eyes:
        for fan in (-0.5, 0.0, 0.5):
            start = eye.place(1.22, 0.1 + fan * 0.7)
            reach = rng.uniform(0.022, 0.040)
            end = start + reach * np.array([eye.side, fan * 0.8 + 0.1])
            lines.append(spline(np.stack([start, (start + end) / 2 + (0, 0.003 * fan), end]), 5))
            strengths.append((0.15 + 0.7 * age) * (0.4 + 0.8 * smile))
        lines.append(spline(eye.place(np.array([-0.75, -0.2, 0.5]), np.array([0.75, 1.05, 0.95])), 6))
        strengths.append(0.18 + 0.55 * age)
        wing, corner = points[33 + 2 * eye.side], points[54 if eye.side > 0 else 48]
        steps = np.array([(0.014, -0.014), (0.045, 0.028), (0.026, -0.004)]) * (eye.side, 1)
        fold = np.stack([wing, wing, corner]) + steps
        lines.append(spline(fold, 8))
        strengths.append(0.20 + 0.55 * age + 0.35 * smile)
    return lines, strengths


def _paint_lines(layer: Layer, identity: Identity, face: FaceGeometry, expression: Expression) -> None:
    lines, strengths = _lines(identity, face, expression)
    for line, strength in zip(lines, strengths, strict=True):
        if strength < 0.05:
            continue
        frame = layer.frame.around(line, 0.02)
        mask = frame.strokes([line, line[::-1]], [0.006, 0.006])
        mask = 0.6 * frame.blur(mask, 0.0022) + 0.5 * frame.blur(mask, 0.006)
        tint(layer.part(frame), (0.72, 0.62, 0.58), np.minimum(mask * np.float32(strength * 1.1), 1))


def _paint_spots(layer: Layer, identity: Identity, face: FaceGeometry) -> None:
    rng = identity.stream(2)
    skin = identity.skin
    count = int(230 * skin.freckles)
    freckles = np.stack([0.5 + rng.normal(0, 0.115, count), 0.575 + rng.normal(0, 0.055, count)], 1)
    sizes = rng.uniform(0.0018, 0.0048, count)
    darkness = rng.uniform(0.25, 0.8, count) * (0.4 + 0.6 * skin.freckles)
    if count:
        frame = layer.frame.around(freckles, 0.01)
        mask = frame.blur(frame.dots(freckles, sizes, darkness), 0.0010)
        tint(layer.part(frame), (0.62, 0.46, 0.38), mask)
    for mole in skin.moles:
        place = np.array([[0.5 + mole.x, mole.y + (face.drop if mole.y > 0.78 else 0.0)]])
        frame = layer.frame.around(place, 3 * mole.radius)
        mask = frame.blur(frame.dots(place, np.array([mole.radius]), np.array([mole.strength * 1.1])), 0.0009)
        tint(layer.part(frame), (0.34, 0.24, 0.21), mask)


def paint_skin(layer: Layer, identity: Identity, face: FaceGeometry, expression: Expression) -> None:
    """Paint the bare skin of the head, with everything that lies in it."""
    frame = layer.frame
    layer.colour[...] = layer.spread(_tone(identity, face))
    x, y = frame.grid()
    pores = sample_plane(noise_plane(identity.stream(0), 128, 0.6), x * 380, y * 380)
    layer.colour[...] *= (1 + np.float32(0.014 * (0.5 + identity.skin.texture)) * pores)[..., None]
    _paint_lines(layer, identity, face, expression)
    _paint_spots(layer, identity, face)
    paint_beard(layer, identity, face)
    layer.alpha[...] = frame.blur(frame.polygon(face.outline), 0.0013)
