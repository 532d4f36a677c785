"""The mouth: lips with their lines and gloss, teeth, gums and tongue."""

from __future__ import annotations

import cv2
import numpy as np

from .geometry import FaceGeometry
from .identity import Identity
from .layer import Layer
from .paint import FloatArray, Frame, bump, noise_plane, over, sample_plane, smoothstep, spline, tint


def lip_outlines(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the closed outer and inner outlines of the lips from landmarks 48..67 (20, 2)."""
    outer = np.concatenate([spline(points[0:7], 8), spline(np.concatenate([points[6:12], points[:1]]), 8)[1:-1]])
    inner = np.concatenate([spline(points[12:17], 8), spline(np.concatenate([points[16:20], points[12:13]]), 8)[1:-1]])
    return outer, inner


def _teeth(identity: Identity, frame: Frame, points: FloatArray) -> FloatArray:
    """Return the colour (H, W, 3) of the inside of the mouth."""
    mouth = identity.mouth
    x, y = frame.grid()
    top, low = points[14, 1], points[18, 1]
    shape = np.broadcast_shapes(x.shape, y.shape)
    colour = np.broadcast_to(np.array([0.20, 0.07, 0.07], np.float32), (*shape, 3)).copy()
    tongue = bump(x, y, 0.5, low + 0.004, 0.045, 0.020)
    over(colour, (0.66, 0.30, 0.30), tongue * 0.8)
    bend = 1.6 * (x - 0.5) ** 2
    width = 0.0215 * mouth.tooth_width
    edge = np.maximum(np.abs(x - 0.5) - 0.5 * mouth.tooth_gap * width, 0.0)
    slot = edge / (width * (1.0 - 1.4 * edge))
    number = np.floor(slot)
    inside = np.abs(slot - number - 0.5) * 2
    rng = identity.stream(20)
    dips = rng.uniform(-0.0022, 0.0022, 16) * 1.3
    side = np.where(x > 0.5, 8, 0)
    drop = dips[np.clip(number.astype(int) + side, 0, 15)]
    length = 0.030 - 0.004 * np.minimum(number, 3)
    bottom = top - 0.006 + length + drop + bend + mouth.tooth_tilt * (inside - 0.5) * 0.02
    gaps = smoothstep(1.02, 0.86, inside) * (np.abs(x - 0.5) >= 0.5 * mouth.tooth_gap * width)
    tooth = smoothstep(0.0015, -0.0015, y - bottom) * smoothstep(7.4, 5.5, slot)
    shade = np.asarray(mouth.tooth_colour, np.float32) * (1 - 0.16 * np.minimum(slot / 4.5, 1.4) ** 2)[..., None]
    shade = shade * (0.62 + 0.38 * gaps)[..., None]
    over(colour, np.broadcast_to(shade, colour.shape), np.broadcast_to(tooth, shape).astype(np.float32))
    return colour


def _lips(identity: Identity, frame: Frame, points: FloatArray, depth: FloatArray) -> FloatArray:
    """Return the colour (H, W, 3) of the lips; `depth` (H, W) is 0 at their outer edge and 1 well inside."""
    mouth = identity.mouth
    x, y = frame.grid()
    middle = float(0.5 * (points[14, 1] + points[18, 1]))
    half = np.float32(points[6, 0] - 0.5)
    u = (x - np.float32(0.5)) / half
    plane = noise_plane(identity.stream(21), 64, 0.8)
    lip = np.float32(32) * (y > middle)
    fan = u * (1 + 3.0 * np.abs(y - middle))
    lines = np.minimum(sample_plane(plane, fan * 26 + lip, y * 30), 0.6) + 0.8 * sample_plane(
        plane, fan * 9 + lip, y * 9
    )
    lines = lines * smoothstep(1.0, 0.6, np.abs(u))
    tone = 1 + np.float32(0.14 * mouth.lines) * lines
    upper = smoothstep(middle + 0.002, middle - 0.004, y)
    tone = tone * (1 - (0.10 + 0.10 * mouth.lower) * upper + 0.06 * mouth.lower * (1 - upper))
    inner = np.float32(mouth.inside * 0.6) * smoothstep(0.45, 1.0, depth)
    goal = np.array([0.93, 0.66, 0.64] if mouth.inside > 0 else [0.34, 0.14, 0.16], np.float32)
    base = np.asarray(mouth.colour, np.float32)
    mix = np.abs(inner)
    return cv2.merge([tone * (channel + (end - channel) * mix) for channel, end in zip(base, goal, strict=True)])


def _paint_spots(part: FloatArray, frame: Frame, identity: Identity, points: FloatArray) -> None:
    """Paint the dark spots that some lips have; they move with the lips."""
    count = identity.mouth.spots
    if not count:
        return
    rng = identity.stream(22)
    u, v, upper = rng.uniform(-0.7, 0.7, count), rng.uniform(0.25, 0.75, count), rng.uniform(size=count) < 0.4
    half = points[6, 0] - 0.5
    shrink = 1 - u**2
    top = points[14, 1] + (points[3, 1] - points[14, 1]) * v * shrink
    low = points[18, 1] + (points[9, 1] - points[18, 1]) * v * shrink
    places = np.stack([0.5 + half * u, np.where(upper, top, low)], 1)
    mask = frame.blur(frame.dots(places, rng.uniform(0.0035, 0.0065, count), rng.uniform(0.5, 0.9, count)), 0.0012)
    tint(part, (0.42, 0.30, 0.32), mask)


def paint_mouth(layer: Layer, identity: Identity, face: FaceGeometry) -> None:
    """Paint lips and the inside of the mouth."""
    points = face.landmarks[48:68]
    outer, inner = lip_outlines(points)
    frame = layer.frame.around(outer, 0.03)
    part = layer.part(frame)
    mouth = identity.mouth
    lips, hole = frame.polygon(outer), frame.polygon(inner)
    soft = 0.0042 * (1 - 0.75 * mouth.lipstick)
    cover = frame.blur(lips, soft) * np.float32(0.62 + 0.36 * mouth.lipstick + 0.1 * mouth.outline)
    depth = np.clip(2 * frame.blur(lips, 0.008) - 0.9, 0, 1) + frame.blur(hole, 0.006)
    over(part, _lips(identity, frame, points, depth), np.minimum(cover, 1))
    near = frame.blur(lips, 0.0018 + 0.0016 * mouth.outline)
    rim = np.clip(near * (1 - near) * 4, 0, 1)
    tint(part, (0.52, 0.38, 0.40), rim * np.float32(0.10 + 0.90 * mouth.outline**2))
    _paint_spots(part, frame, identity, points)
    inside = _teeth(identity, frame, points)
    depth = smoothstep(0.2, 1.0, frame.blur(hole, 0.006))
    x, y = frame.grid()
    side = smoothstep(1.0, 0.55, np.abs(x - 0.5) / (points[16, 0] - 0.5))
    lid = smoothstep(points[14, 1] - 0.004, points[14, 1] + 0.012, y)
    inside = inside * ((0.45 + 0.55 * depth) * (0.5 + 0.5 * side) * (0.62 + 0.38 * lid))[..., None]
    over(part, inside, hole)
    top = np.concatenate([points[:1], points[12:17], points[6:7]])
    low = np.concatenate([points[:1], points[12:13], points[17:20][::-1], points[16:17], points[6:7]])
    lines = [spline(top, 8), spline(top[::-1], 8), spline(low, 8), spline(low[::-1], 8)]
    seam = frame.strokes(lines, [0.0022, 0.0022, 0.0020, 0.0020])
    seam = np.maximum(seam, frame.blur(seam, 0.0022))
    tint(part, (0.34, 0.20, 0.20), np.minimum(seam, 1) * 0.85)
    gloss = layer.frame.cut(layer.gloss, frame)
    gloss *= 1 + np.float32(1.3 * mouth.gloss) * lips
    gloss *= 1 - hole
