"""What is behind the face: background, neck, shoulders with clothes, and ears."""

from __future__ import annotations

import cv2
import numpy as np

from .identity import Identity
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
from .pose import Projection
from .shot import Background, Shot

EAR_DEPTH = -0.10
_EAR = np.array(
    [
        (-0.03, 0.44),
        (0.006, 0.425),
        (0.030, 0.440),
        (0.038, 0.48),
        (0.032, 0.53),
        (0.021, 0.585),
        (0.003, 0.612),
        (-0.03, 0.59),
    ]
)
_HELIX = np.array([(-0.012, 0.470), (0.006, 0.450), (0.021, 0.458), (0.026, 0.490), (0.019, 0.535), (0.012, 0.560)])
_FOLD = np.array([(0.008, 0.482), (0.013, 0.505), (0.008, 0.540), (-0.004, 0.556)])


def paint_background(background: Background, size: int) -> FloatArray:
    """Return a background (size, size, 3) float32 in [0, 1]."""
    small = 96
    rng = generator(background.seed, 0, 3)
    line = ((np.arange(small) + 0.5) / small).astype(np.float32)
    x, y = line[None, :], line[:, None]
    first, second = np.asarray(background.first, np.float32), np.asarray(background.second, np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.clip(0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), 0, 1)
    picture = first + (second - first) * ramp[..., None].astype(np.float32)
    if background.kind == "bokeh":
        for _ in range(9):
            centre, radius = rng.uniform(-0.1, 1.1, 2), rng.uniform(0.06, 0.22)
            colour = np.clip(
                0.5 * (first + second) + rng.uniform(-0.12, 0.12, 3) + rng.uniform(-0.2, 0.25), 0, 1
            ).astype(np.float32)
            over(
                picture,
                colour,
                smoothstep(1.25, 0.7, np.hypot(x - centre[0], y - centre[1]) / np.float32(radius)) * 0.6,
            )
    elif background.kind == "wall":
        edge = rng.uniform(0.05, 0.95)
        picture *= (1 - 0.35 * smoothstep(-0.01, 0.01, x - np.float32(edge + 0.1 * rng.uniform()) + 0.05 * y))[
            ..., None
        ]
        picture *= 1 + 0.06 * sample_plane(noise_plane(rng, 64, 2.0), x * 30, y * 30)[..., None]
    elif background.kind == "window":
        for place in rng.uniform(0, 1, 4):
            bar = smoothstep(0.12, 0.08, np.abs(x - np.float32(place)))
            over(picture, np.clip(second + 0.35, 0, 1), bar * np.float32(0.55) * np.ones_like(y))
    return cv2.resize(np.clip(blur(picture, 1.5), 0, 1), (size, size), interpolation=cv2.INTER_LINEAR)


def _torso(identity: Identity) -> FloatArray:
    wide = 1.0 - 0.12 * identity.feminine
    points = np.array(
        [(0.10, 0.96), (0.17, 1.00), (0.25, 1.05), (0.46 * wide, 1.10), (0.66 * wide, 1.2), (0.80 * wide, 1.5)]
    )
    return spline(np.concatenate([points[::-1] * (-1, 1), points]), 6)


def paint_body(
    canvas: FloatArray, frame: Frame, identity: Identity, shot: Shot, lean: FloatArray, light: FloatArray
) -> None:
    """Paint neck and clothes on the picture; `lean` (2,) shifts the neck's top, `light` (3,) is the light's colour."""
    part = frame.within(0.0, 0.66, 1.0, 1.0)
    x, y = part.grid()
    neck = 0.178 - 0.030 * identity.feminine
    middle = 0.5 + lean[0]
    column = np.array([(1.0, 0.55), (0.97, 0.85), (1.0, 0.97), (1.25, 1.06), (2.2, 1.12), (3.0, 1.4)]) * (neck, 1)
    outline = np.concatenate([column, column[::-1] * (-1, 1)])
    outline[:, 0] += middle
    skin = np.asarray(identity.skin.colour, np.float32) * light.astype(np.float32)
    azimuth = np.float32(np.sin(shot.light.azimuth))
    turn = np.clip((x - np.float32(middle)) / np.float32(neck), -1.2, 1.2)
    lit = 0.84 + 0.20 * turn * azimuth - 0.24 * turn**2
    under = 1 - 0.42 * smoothstep(1.10, 0.92, y - 0.25 * np.float32(lean[1]))
    cords = 1 + 0.05 * np.cos(turn * 5) * smoothstep(0.95, 1.1, y)
    over(frame.cut(canvas, part), skin * (lit * under * cords)[..., None], part.polygon(outline))
    _paint_clothes(canvas, frame, identity, shot, middle, light)


def _paint_clothes(
    canvas: FloatArray, whole: Frame, identity: Identity, shot: Shot, middle: float, light: FloatArray
) -> None:
    frame = whole.within(0.0, 0.9, 1.0, 1.0)
    part = whole.cut(canvas, frame)
    x, y = frame.grid()
    background = shot.background
    cloth = np.asarray(background.clothes, np.float32) * light.astype(np.float32)
    plane = noise_plane(generator(background.seed, 1, 3), 64, 2.5)
    folds = 1 + 0.10 * sample_plane(plane, x * 22 + y * 10, y * 12) + 0.03 * sample_plane(plane, x * 150, y * 150)
    folds = folds * (0.78 + 0.22 * np.clip((x - 0.5) * 2 * np.float32(np.sin(shot.light.azimuth)) + 0.6, 0, 1.2))
    mask = frame.polygon(_torso(identity) + np.array([middle, 0.0]))
    depth, width, power = {"crew": (1.02, 0.21, 2.0), "shirt": (1.07, 0.17, 1.0), "vee": (1.12, 0.19, 1.0)}[
        background.collar
    ]
    hole = depth - y - (depth - 0.93) * (np.abs(x - np.float32(middle)) / np.float32(width)) ** power
    neckline = smoothstep(0.0, 0.004, hole)
    over(part, cloth * folds[..., None], mask * (1 - neckline))
    rim = smoothstep(0.020, 0.014, np.abs(hole + 0.014)) * mask
    tint(part, (0.80, 0.80, 0.82), rim.astype(np.float32) * 0.7)
    if background.collar == "shirt":
        flap = smoothstep(0.055, 0.050, np.abs(hole + 0.055)) * mask
        over(part, np.clip(cloth * 1.12 + 0.04, 0, 1), flap.astype(np.float32) * 0.8)


def paint_ears(canvas: FloatArray, frame: Frame, identity: Identity, projection: Projection, light: FloatArray) -> None:
    """Paint both ears on the picture, where the head will cover their front edges."""
    half = 0.284 * identity.shape.width
    skin = np.asarray(identity.skin.colour, np.float32) * (0.97, 0.86, 0.83) * light

    def place(shape: FloatArray, side: int) -> FloatArray:
        return projection.points(np.stack([0.5 + side * (half - 0.004 + shape[:, 0]), shape[:, 1]], 1), EAR_DEPTH)

    for side in (-1, 1):
        ear = closed_spline(place(_EAR, side), 6)
        part_frame = frame.around(ear, 0.02)
        part = frame.cut(canvas, part_frame)
        mask = part_frame.polygon(ear)
        over(part, skin, mask)
        edge = 1 - part_frame.blur(mask, 0.010)
        tint(part, (0.66, 0.52, 0.50), np.clip(edge * 1.2, 0, 1) * mask)
        lines = [spline(place(_HELIX, side), 6), spline(place(_FOLD, side), 6)]
        shade = part_frame.blur(part_frame.strokes([*lines, lines[0][::-1]], [0.011, 0.013, 0.008]), 0.003)
        tint(part, (0.56, 0.42, 0.40), np.minimum(shade, 1) * mask * 0.85)
        if identity.jewels.earrings > 0:
            _paint_earring(canvas, frame, identity, place(np.array([(0.005, 0.606)]), side)[0])


def _paint_earring(canvas: FloatArray, frame: Frame, identity: Identity, lobe: FloatArray) -> None:
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    radius = 0.007 + 0.016 * identity.jewels.earrings
    ring = lobe + (0, radius) + radius * np.stack([np.cos(turn), np.sin(turn)], 1)
    part_frame = frame.around(ring, 0.006)
    mask = part_frame.polygon(ring)
    if identity.jewels.earrings > 0.6:
        mask = mask * (1 - part_frame.polygon((ring - ring.mean(0)) * 0.68 + ring.mean(0)))
    over(frame.cut(canvas, part_frame), (0.86, 0.74, 0.42), mask)
    dot = part_frame.dots(lobe[None] + radius * np.array([-0.3, 0.5]), np.array([0.3 * radius]), np.array([0.8]))
    over(frame.cut(canvas, part_frame), (1.0, 0.97, 0.85), dot * mask)
