"""What is behind the face: background, neck, shoulders with clothes, and ears."""

from __future__ import annotations

import cv2
import numpy as np

from .identity import Identity
from .layer import Layer
from .paint import (
    FloatArray,
    Frame,
    blur,
    closed_spline,
    generator,
    noise_plane,
    over,
    sample_plane,
    smoothstep,
    spline,
    tint,
)
from .shot import Background, Shot


def paint_background(background: Background, size: int) -> FloatArray:
    """Return a background (size, size, 3) float32 in [0, 1]."""
    small = 96
    rng = generator(background.seed, 0, 3)
    line = ((np.arange(small) + 0.5) / small).astype(np.float32)
    x, y = line[None, :], line[:, None]
    first, second = np.asarray(background.first, np.float32), np.asarray(background.second, np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.clip(0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), 0, 1)
    picture = first + (second - first) * ramp[..., None]
    if background.kind == "bokeh":
        for _ in range(9):
            centre, radius = rng.uniform(-0.1, 1.1, 2), rng.uniform(0.06, 0.22)
            colour = np.clip(first + rng.uniform(-0.4, 0.4, 3), 0, 1).astype(np.float32)
            over(
                picture,
                colour,
                smoothstep(1.25, 0.7, np.hypot(x - centre[0], y - centre[1]) / np.float32(radius)) * 0.6,
            )
    elif background.kind == "wall":
        edge = rng.uniform(0.05, 0.95)
        picture = (
            picture
            * (1 - 0.35 * smoothstep(-0.01, 0.01, x - np.float32(edge + 0.1 * rng.uniform()) + 0.05 * y))[..., None]
        )
        picture *= 1 + 0.06 * sample_plane(noise_plane(rng, 64, 2.0), x * 30, y * 30)[..., None]
    elif background.kind == "window":
        for place in rng.uniform(0, 1, 4):
            bar = smoothstep(0.12, 0.08, np.abs(x - np.float32(place)))
            over(picture, np.clip(second + 0.35, 0, 1), bar * np.float32(0.55) * np.ones_like(y))
    picture = blur(picture, 1.5)
    return cv2.resize(np.clip(picture, 0, 1), (size, size), interpolation=cv2.INTER_CUBIC)


def _torso(identity: Identity) -> FloatArray:
    wide = 1.0 - 0.12 * identity.feminine
    points = np.array(
        [(0.06, 0.90), (0.16, 0.98), (0.25, 1.045), (0.46 * wide, 1.10), (0.66 * wide, 1.20), (0.80 * wide, 1.5)]
    )
    return spline(np.concatenate([points[::-1] * (-1, 1), points]), 6)


def paint_body(
    canvas: FloatArray, frame: Frame, identity: Identity, shot: Shot, lean: FloatArray, light: FloatArray
) -> None:
    """Paint neck and clothes on the picture; `lean` (2,) shifts the neck's top, `light` (3,) is the light's colour."""
    x, y = frame.grid()
    neck = 0.165 - 0.028 * identity.feminine
    middle = 0.5 + lean[0]
    column = np.array(
        [(neck, 0.62), (neck * 0.98, 0.85), (neck * 1.0, 0.97), (neck * 1.25, 1.06), (0.36, 1.12), (0.5, 1.4)]
    )
    outline = np.concatenate([column, column[::-1] * (-1, 1)])
    outline[:, 0] += middle
    skin = np.asarray(identity.skin.colour, np.float32)
    azimuth = np.float32(np.sin(shot.light.azimuth))
    turn = np.clip((x - np.float32(middle)) / np.float32(neck), -1.2, 1.2)
    lit = 0.80 + 0.20 * turn * azimuth - 0.22 * turn**2
    under = 1 - 0.46 * smoothstep(1.12, 0.90, y - 0.25 * np.float32(lean[1]))
    throat = 1 + 0.05 * np.cos(turn * 5) * smoothstep(0.95, 1.1, y)
    over(canvas, skin * (lit * under * throat)[..., None] * light.astype(np.float32), frame.polygon(outline))
    _clothes(canvas, frame, identity, shot, middle, light)


def _clothes(
    canvas: FloatArray, frame: Frame, identity: Identity, shot: Shot, middle: float, light: FloatArray
) -> None:
    x, y = frame.grid()
    background = shot.background
    cloth = np.asarray(background.clothes, np.float32)
    plane = noise_plane(generator(background.seed, 1, 3), 64, 2.5)
    folds = 1 + 0.10 * sample_plane(plane, x * 22 + y * 10, y * 12) + 0.03 * sample_plane(plane, x * 150, y * 150)
    folds = folds * (0.78 + 0.22 * np.clip((x - 0.5) * 2 * np.float32(np.sin(shot.light.azimuth)) + 0.6, 0, 1.2))
    torso = _torso(identity) + np.array([middle, 0.0])
    mask = frame.polygon(torso)
    depth = {"crew": 1.03, "shirt": 1.10, "vee": 1.16}[background.collar]
    width = {"crew": 0.20, "shirt": 0.15, "vee": 0.17}[background.collar]
    power = {"crew": 2.0, "shirt": 1.0, "vee": 1.0}[background.collar]
    hole = depth - y - (depth - 0.90) * (np.abs(x - np.float32(middle)) / np.float32(width)) ** power
    neckline = smoothstep(0.0, 0.004, hole)
    over(canvas, cloth * folds[..., None] * light.astype(np.float32), mask * (1 - neckline))
    rim = smoothstep(0.020, 0.014, np.abs(hole + 0.014)) * mask
    tint(canvas, (0.80, 0.80, 0.82), rim.astype(np.float32) * 0.7)
    if background.collar == "shirt":
        flap = smoothstep(0.055, 0.050, np.abs(hole + 0.055)) * mask
        over(canvas, np.clip(cloth * 1.12 + 0.04, 0, 1) * light.astype(np.float32), flap.astype(np.float32) * 0.8)


def paint_ears(layer: Layer, identity: Identity) -> None:
    """Paint both ears on `layer`, which lies behind the head."""
    half = 0.284 * identity.shape.width
    skin = np.asarray(identity.skin.colour, np.float32) * (0.98, 0.87, 0.85)
    for side in (-1, 1):
        shape = np.array(
            [
                (-0.03, 0.435),
                (0.012, 0.420),
                (0.040, 0.440),
                (0.046, 0.49),
                (0.036, 0.545),
                (0.022, 0.60),
                (0.002, 0.625),
                (-0.03, 0.60),
            ]
        )
        ear = closed_spline(np.stack([0.5 + side * (half - 0.008 + shape[:, 0]), shape[:, 1]], 1), 6)
        frame = layer.frame.around(ear, 0.02)
        mask = frame.polygon(ear)
        part = layer.part(frame)
        over(part, skin, mask)
        inner = np.array([(-0.01, 0.46), (0.020, 0.452), (0.030, 0.48), (0.020, 0.53), (0.008, 0.575)])
        line = spline(np.stack([0.5 + side * (half - 0.008 + inner[:, 0]), inner[:, 1]], 1), 6)
        shade = frame.blur(frame.strokes([line, line[::-1]], [0.014, 0.014]), 0.004)
        tint(part, (0.62, 0.50, 0.48), shade * mask * 0.8)
        alpha = layer.frame.cut(layer.alpha, frame)
        np.maximum(alpha, mask, out=alpha)
        if identity.jewels.earrings > 0:
            _earring(layer, identity, 0.5 + side * (half + 0.002), 0.628)


def _earring(layer: Layer, identity: Identity, x: float, y: float) -> None:
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    radius = 0.007 + 0.016 * identity.jewels.earrings
    ring = np.array([x, y + radius]) + radius * np.stack([np.cos(turn), np.sin(turn)], 1)
    frame = layer.frame.around(ring, 0.006)
    mask = frame.polygon(ring)
    if identity.jewels.earrings > 0.6:
        mask = mask * (1 - frame.polygon((ring - ring.mean(0)) * 0.68 + ring.mean(0)))
    over(layer.part(frame), (0.86, 0.74, 0.42), mask)
    alpha = layer.frame.cut(layer.alpha, frame)
    np.maximum(alpha, mask, out=alpha)
