"""The mouth: lips with their lines and gloss, teeth, gums and tongue."""

from __future__ import annotations

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
    tooth = smoothstep(bottom + 0.0015, bottom - 0.0015, y) * smoothstep(7.4, 5.5, slot)
    shade = np.asarray(mouth.tooth_colour, np.float32) * (1 - 0.16 * np.minimum(slot / 4.5, 1.4) ** 2)[..., None]
    shade = shade * (0.62 + 0.38 * gaps)[..., None]
    over(colour, np.broadcast_to(shade, colour.shape), np.broadcast_to(tooth, shape).astype(np.float32))
    return colour


def _lips(identity: Identity, frame: Frame, points: FloatArray, skin: FloatArray) -> FloatArray:
    """Return the colour (H, W, 3) of the lips over the whole frame."""
    mouth = identity.mouth
    x, y = frame.grid()
    middle = 0.5 * (points[14, 1] + points[18, 1])
    half = points[6, 0] - 0.5
    u = (x - 0.5) / half
    plane = noise_plane(identity.stream(21), 64, 0.8)
    fan = u * (1 + 3.0 * np.abs(y - middle)) * 26
    lines = sample_plane(plane, fan + 32 * (y > middle), y * 30) * smoothstep(1.0, 0.6, np.abs(u))
    lines = np.minimum(lines, 0.6)
    colour = np.asarray(mouth.colour, np.float32) * (1 + np.float32(0.11 * mouth.lines) * lines[..., None])
    upper = smoothstep(middle + 0.002, middle - 0.004, y)
    return (colour * (1 - 0.13 * upper[..., None])).astype(np.float32)


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
    over(part, _lips(identity, frame, points, part), np.minimum(cover, 1))
    rim = np.clip(frame.blur(lips, 0.0015) * (1 - frame.blur(lips, 0.0015)) * 4, 0, 1)
    tint(part, (0.78, 0.66, 0.66), rim * np.float32(0.15 + 0.45 * mouth.outline))
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
