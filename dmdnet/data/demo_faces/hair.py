"""Hair of the head: what falls behind the face and what lies over the forehead and beside the cheeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .identity import Identity
from .layer import Layer
from .paint import FloatArray, Frame, closed_spline, noise_plane, sample_plane, smoothstep


@dataclass(frozen=True)
class Cut:
    """A hair style: extra volume on top and at the sides, where it ends, and how its hairs run."""

    top: float
    side: float
    bottom: float
    back: bool  # hair is seen behind and beside the neck
    side_lock: float  # how far hair covers the temples and cheeks
    curl: float
    fan: float  # how fast hairs turn from the parting to hanging
    crop: float = 0.0  # 1: the sides are shaved


CUTS: dict[str, Cut] = {
    "bald": Cut(0.0, 0.0, 0.40, False, 0.0, 0.0, 0.5, 1.0),
    "crop": Cut(0.028, 0.006, 0.47, False, 0.2, 0.1, 0.4, 0.6),
    "short": Cut(0.050, 0.020, 0.50, False, 0.5, 0.3, 0.5),
    "side": Cut(0.062, 0.018, 0.49, False, 0.4, 0.1, 0.8),
    "bob": Cut(0.055, 0.060, 0.88, True, 1.0, 0.15, 0.6),
    "long": Cut(0.055, 0.060, 1.25, True, 0.9, 0.25, 0.6),
    "curly": Cut(0.085, 0.085, 0.92, True, 0.7, 1.0, 0.6),
    "afro": Cut(0.120, 0.120, 0.62, True, 0.4, 2.0, 0.5),
    "bun": Cut(0.030, 0.006, 0.47, False, 0.3, 0.1, 0.9),
}


def _strands(identity: Identity, cut: Cut, frame: Frame) -> FloatArray:
    """Return the pattern of hairs (H, W), mean 0, following the way that the style falls."""
    hair = identity.hair
    x, y = frame.grid()
    part = 0.5 + hair.part
    coarse = noise_plane(identity.stream(30), 64, 1.2)
    fall = np.sqrt(np.maximum(y - (0.0 - cut.top), 0.002) / cut.fan) + 0.05
    u = (x - part) / np.minimum(fall, 1.3)
    curl = cut.curl + 0.35 * hair.wave
    sway = sample_plane(coarse, x * 22, y * 16) * 0.016 * curl + sample_plane(coarse, x * 9 + 20, y * 8) * 0.028 * curl
    u = u + sway
    fine = noise_plane(identity.stream(31), 256, 0.8)
    along = y * 14 + 8 * np.abs(u)
    if cut.curl >= 1.5:
        return 1.1 * sample_plane(fine, x * 190 + sway * 900, y * 190) + 0.7 * sample_plane(coarse, x * 60, y * 60)
    clumps = sample_plane(fine, u * 70, along * 0.5)
    hairs = sample_plane(fine, u * 320 + 50, along * 1.5)
    return 0.75 * clumps + 0.75 * hairs


def _colour(identity: Identity, cut: Cut, frame: Frame, strands: FloatArray, depth: FloatArray | float) -> FloatArray:
    """Return the hair's colour with its ring of light; `depth` 0..1 darkens."""
    hair = identity.hair
    x, y = frame.grid()
    base = np.asarray(hair.colour, np.float32)
    lift = 0.045 + 0.22 * float(base.mean())
    ring = np.exp(-0.5 * ((y - 0.10 - 0.9 * (x - 0.5) ** 2 + 0.012 * strands) / 0.045) ** 2) * (cut.curl < 1.5)
    colour = base * (1 + 0.23 * np.clip(strands, -2.2, 2.2))[..., None]
    colour = colour + np.float32(lift) * (np.maximum(strands, 0) * 0.35 + ring * (0.9 + 0.5 * strands))[..., None]
    if hair.grey > 0.1:
        grey = smoothstep(1.0, 2.2, strands + 1.1 * np.float32(hair.grey))[..., None]
        colour = colour + (np.float32(0.72) - colour) * grey * np.float32(0.6)
    return np.clip(colour * (1 - 0.45 * np.asarray(depth, np.float32))[..., None], 0.01, 1).astype(np.float32)


def _shell(identity: Identity, cut: Cut, bottom: float) -> FloatArray:
    """Return the outer outline of the hair, closed (N, 2)."""
    volume = identity.hair.volume
    half = 0.284 * identity.shape.width
    top, side = cut.top * volume, cut.side * volume
    points = [
        (0.0, 0.03 - top),
        (0.13, 0.045 - 0.95 * top),
        (0.215, 0.11 - 0.7 * top),
        (half - 0.01 + 0.85 * side, 0.23),
    ]
    points += [(half + side, 0.36), (half + 1.05 * side, max(0.46, 0.55 * bottom))]
    if cut.back:
        points += [(half + 0.9 * side, 0.75 * bottom + 0.1), (half + 0.55 * side, bottom), (half - 0.10, bottom + 0.01)]
    else:
        points += [(half - 0.005, bottom), (half - 0.06, bottom)]
    right = np.array(points)
    left = right[:0:-1] * (-1.0, 1.0)
    return closed_spline(np.concatenate([right, left]) + np.array([0.5, 0.0]), 6)


def _opening(identity: Identity, cut: Cut) -> FloatArray:
    """Return the outline of the bare face inside the hair, closed (N, 2)."""
    hair = identity.hair
    half = 0.284 * identity.shape.width
    line = 0.205 - hair.hairline * 2.2 if identity.feminine > 0.5 else 0.195 - hair.hairline * 2.5
    lock = 0.045 * cut.side_lock
    temple = half - 0.035 - lock
    if cut.crop == 1.0:
        line, temple = 0.0, half - 0.012
    corner = hair.part * 0.25
    points = [
        (corner, line - 0.010),
        (0.10, line + 0.004),
        (0.185, line + 0.045),
        (temple + 0.002, 0.345),
        (temple + 0.014 - 0.3 * lock, 0.43),
        (half - 0.012 - 0.8 * lock, 0.52),
        (half + 0.02 - 0.9 * lock, 0.60),
        (half + 0.06 - lock * 1.6, 0.78),
        (half + 0.10 - lock * 3.0, 1.3),
    ]
    right = np.array(points)
    left = right[:0:-1] * (-1.0, 1.0)
    return closed_spline(np.concatenate([right, left]) + np.array([0.5, 0.0]), 6)


def paint_back_hair(layer: Layer, identity: Identity) -> None:
    """Paint the hair behind head and neck on an empty layer."""
    cut = CUTS[identity.hair.style]
    if not cut.back and identity.hair.style != "bun":
        return
    frame = layer.frame
    strands = _strands(identity, cut, frame)
    x, y = frame.grid()
    outline = _shell(identity, cut, cut.bottom)
    mask = frame.blur(frame.polygon(outline), 0.012 if cut.curl >= 1 else 0.006)
    if identity.hair.style == "bun":
        mask = np.maximum(mask, smoothstep(0.095, 0.085, np.hypot(x - 0.5, (y + 0.04) * 1.2)))
    rough = 0.20 if cut.curl >= 1 else 0.12
    mask = smoothstep(0.35, 0.65, mask + rough * strands * (mask > 0.02))
    middle = smoothstep(0.30, 0.16, np.abs(x - 0.5)) * smoothstep(0.3, 0.6, y)
    layer.colour[...] = _colour(identity, cut, frame, strands, 0.25 + 0.75 * middle)
    layer.alpha[...] = mask


def front_hair(layer: Layer, identity: Identity) -> tuple[FloatArray, FloatArray]:
    """Return colour (H, W, 3) and opacity (H, W) of the hair in front of the head."""
    hair = identity.hair
    cut = CUTS[hair.style]
    frame = layer.frame
    strands = _strands(identity, cut, frame)
    x, y = frame.grid()
    shell = frame.blur(frame.polygon(_shell(identity, cut, cut.bottom)), 0.005)
    face = frame.blur(frame.polygon(_opening(identity, cut)), 0.010)
    if hair.fringe > 0 and cut.crop < 1.0:
        low = 0.25 + 0.11 * hair.fringe + 0.25 * (x - 0.5 - hair.part) * np.sign(hair.part)
        face = face * smoothstep(low - 0.012, low + 0.012, y + 0.012 * np.clip(strands, -2, 2))
    edge = smoothstep(0.40, 0.75, 1 - face + 0.16 * strands * (face < 0.98))
    outer = smoothstep(0.35, 0.65, shell + 0.13 * strands * (shell > 0.02))
    mask = edge * outer
    if cut.crop > 0:
        fade = smoothstep(0.12, 0.40, y) * np.float32(cut.crop)
        mask = mask * (1 - fade * (0.55 + 0.15 * np.clip(strands, -2, 2)))
    if cut.crop == 1.0:
        mask = mask * 0.35
    near = np.clip(1 - np.abs(face - 0.35) * 2, 0, 1) * smoothstep(0.5, 0.3, y)
    return _colour(identity, cut, frame, strands, 0.35 * near), mask.astype(np.float32)


def paint_front_hair(layer: Layer, identity: Identity) -> None:
    """Paint hair over the head, with the shadow that it throws on the skin."""
    colour, mask = front_hair(layer, identity)
    frame = layer.frame
    shadow = frame.blur(mask, 0.014) * (1 - mask)
    layer.colour[...] *= (1 - np.float32(0.42) * shadow)[..., None]
    layer.colour[...] += (colour - layer.colour) * mask[..., None]
    layer.gloss[...] *= 1 - mask
    np.maximum(layer.alpha, mask, out=layer.alpha)
