"""Hair of the head: what falls behind the face and what lies over the forehead and beside the cheeks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
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
    side_lock: float  # how far hair covers temples and cheeks
    curl: float  # 0 straight, 1 curls
    fan: float  # how slowly hairs turn from the parting to hanging
    fade: float = 0.0  # 1: the sides are shaved
    frizz: bool = False  # no strands to be seen


CUTS: dict[str, Cut] = {
    "bald": Cut(0.004, 0.0, 0.44, False, 0.0, 0.0, 0.5, 1.0),
    "crop": Cut(0.028, 0.006, 0.47, False, 0.25, 0.1, 0.4, 0.6),
    "short": Cut(0.050, 0.020, 0.50, False, 0.5, 0.3, 0.5),
    "side": Cut(0.062, 0.018, 0.49, False, 0.4, 0.1, 0.8),
    "bob": Cut(0.055, 0.060, 0.88, True, 1.0, 0.15, 0.6),
    "long": Cut(0.050, 0.055, 1.25, True, 0.9, 0.25, 0.6),
    "curly": Cut(0.080, 0.085, 0.90, True, 0.6, 1.0, 0.6),
    "afro": Cut(0.110, 0.105, 0.60, True, 0.4, 0.0, 0.5, 0.0, True),
    "bun": Cut(0.028, 0.008, 0.47, False, 0.3, 0.1, 0.9),
}


def _strands(identity: Identity, cut: Cut, frame: Frame) -> FloatArray:
    """Return the pattern of hairs (H, W), mean 0, following the way that the style falls."""
    hair = identity.hair
    x, y = frame.grid()
    coarse, fine = noise_plane(identity.stream(30), 64, 1.2), noise_plane(identity.stream(31), 256, 0.8)
    if cut.frizz:
        swirl = sample_plane(coarse, x * 40, y * 40)
        return 0.9 * sample_plane(fine, x * 190 + 6 * swirl, y * 190 + 6 * swirl) + 0.6 * sample_plane(
            coarse, x * 75, y * 75
        )
    part = np.float32(0.5 + hair.part)
    fall = np.sqrt(np.maximum(y + np.float32(cut.top), 0.002) / np.float32(cut.fan)) + np.float32(0.05)
    u = (x - part) / np.minimum(fall, 1.3)
    lock = sample_plane(coarse, u * 24, y * 3)
    wave = max(cut.curl, 0.55 * hair.wave * (cut.back or cut.curl > 0.2))
    phase = y * np.float32(34 + 36 * cut.curl) + 3.2 * lock
    u = u + np.float32(0.013 * wave) * np.sin(phase) + np.float32(0.006) * lock
    along = y * 11 + 6 * np.abs(u)
    clumps = sample_plane(fine, u * 70, along * 0.5)
    hairs = sample_plane(fine, u * 320 + 50, along * 1.5)
    return 0.70 * clumps + 0.75 * hairs + np.float32(0.75 * wave * (cut.curl > 0.5)) * np.cos(phase)


def _colour(identity: Identity, cut: Cut, frame: Frame, strands: FloatArray, depth: FloatArray) -> FloatArray:
    """Return the hair's colour with its ring of light; `depth` (H, W) 0..1 darkens."""
    hair = identity.hair
    x, y = frame.grid()
    base = np.asarray(hair.colour, np.float32)
    factor = (1 + np.float32(0.15 if cut.frizz else 0.23) * np.clip(strands, -2.2, 2.2)) * (1 - 0.45 * depth)
    lift = np.float32(0.040 + 0.20 * float(base.mean()))
    added = np.maximum(strands, 0) * np.float32(0.18 if cut.frizz else 0.35)
    if not cut.frizz:
        ring = np.exp(-0.5 * ((y - 0.10 - 0.9 * (x - 0.5) ** 2 + 0.012 * strands) / 0.045) ** 2)
        added += ring * (0.9 + 0.5 * strands)
    added *= lift * (1 - 0.45 * depth)
    if hair.grey > 0.1:
        grey = np.float32(0.6) * smoothstep(1.0, 2.2, strands + np.float32(1.1 * hair.grey))
        factor *= 1 - grey
        added += (np.float32(0.72) - added) * grey
    return cv2.merge([np.clip(factor * channel + added, 0.01, 1) for channel in base])


def _mirrored(points: list[tuple[float, float]]) -> FloatArray:
    """Return the closed curve through `points` (x from the middle, y) and their mirror images."""
    right = np.array(points)
    left = right[:0:-1] * (-1.0, 1.0)
    return closed_spline(np.concatenate([right, left]) + np.array([0.5, 0.0]), 6)


def _shell(identity: Identity, cut: Cut) -> FloatArray:
    """Return the outer outline of the hair, closed (N, 2)."""
    volume = identity.hair.volume
    half = 0.284 * identity.shape.width
    top, side, bottom = cut.top * volume, cut.side * volume, cut.bottom
    points = [(0.0, 0.028 - top), (0.10, 0.040 - 0.97 * top), (0.185, 0.085 - 0.8 * top + 0.1 * side)]
    points += [(half - 0.022 + 0.7 * side, 0.175 - 0.35 * top), (half - 0.002 + 0.95 * side, 0.29)]
    points += [(half + side, 0.38), (half + 1.02 * side, max(0.46, 0.55 * bottom))]
    if cut.back:
        points += [(half + 0.9 * side, 0.75 * bottom + 0.1), (half + 0.55 * side, bottom), (half - 0.10, bottom + 0.01)]
    else:
        points += [(half - 0.005, bottom), (half - 0.06, bottom)]
    return _mirrored(points)


def _opening(identity: Identity, cut: Cut) -> FloatArray:
    """Return the outline of the bare face inside the hair, closed (N, 2)."""
    hair = identity.hair
    half = 0.284 * identity.shape.width
    line = 0.205 - 2.4 * hair.hairline
    lock = 0.045 * cut.side_lock
    temple = half - 0.036 - lock
    if cut.fade == 1.0:
        line, temple = 0.0, half - 0.012
    points = [
        (hair.part * 0.25, line - 0.010),
        (0.10, line + 0.004),
        (0.185, line + 0.045),
        (temple + 0.003, 0.335),
        (temple + 0.018 - 0.1 * lock, 0.42),
        (half - 0.004 - 0.9 * lock, 0.50),
        (half + 0.025 - 0.9 * lock, 0.60),
        (half + 0.06 - lock * 1.6, 0.78),
        (half + 0.10 - lock * 3.0, 1.3),
    ]
    return _mirrored(points)


def has_back_hair(identity: Identity) -> bool:
    """Return whether hair is seen behind head and neck."""
    return CUTS[identity.hair.style].back or identity.hair.style == "bun"


def paint_back_hair(layer: Layer, identity: Identity) -> None:
    """Paint the hair behind head and neck on an empty layer."""
    cut = CUTS[identity.hair.style]
    frame = layer.frame
    strands = _strands(identity, cut, frame)
    x, y = frame.grid()
    loose = cut.frizz or cut.curl >= 1
    if cut.back:
        mask = frame.blur(frame.polygon(_shell(identity, cut)), 0.012 if loose else 0.006)
    else:
        mask = smoothstep(0.095, 0.085, np.hypot(x - 0.5, (y + 0.04) * 1.2))
    mask = smoothstep(0.35, 0.65, mask + (0.20 if loose else 0.12) * strands * (mask > 0.02))
    middle = smoothstep(0.30, 0.16, np.abs(x - 0.5)) * smoothstep(0.3, 0.6, y)
    layer.colour[...] = _colour(identity, cut, frame, strands, 0.25 + 0.75 * middle)
    layer.alpha[...] = mask


def _front_mask(identity: Identity, cut: Cut, frame: Frame, strands: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the opacity of the front hair and how deep in its shade each place lies, both (H, W)."""
    hair = identity.hair
    x, y = frame.grid()
    shell = frame.blur(frame.polygon(_shell(identity, cut)), 0.005)
    face = frame.blur(frame.polygon(_opening(identity, cut)), 0.010)
    if hair.fringe > 0 and cut.fade < 1.0:
        low = 0.25 + 0.11 * hair.fringe + 0.25 * (x - np.float32(0.5 + hair.part)) * np.sign(hair.part)
        face = face * smoothstep(-0.012, 0.012, y - low.astype(np.float32) + 0.012 * np.clip(strands, -2, 2))
    edge = smoothstep(0.36, 0.80, 1 - face + 0.22 * strands * (face < 0.98))
    rough = 0.24 if cut.frizz or cut.curl >= 1 else 0.13
    mask = edge * smoothstep(0.35, 0.65, shell + np.float32(rough) * strands * (shell > 0.02))
    if cut.fade > 0:
        fade = smoothstep(0.12, 0.40, y) * np.float32(cut.fade)
        mask = mask * (1 - fade * (0.55 + 0.15 * np.clip(strands, -2, 2)))
    if cut.fade == 1.0:
        mask = mask * 0.35
    shade = np.clip(1 - np.abs(face - 0.35) * 2, 0, 1) * smoothstep(0.5, 0.3, y)
    return mask.astype(np.float32), 0.35 * shade


def paint_front_hair(layer: Layer, identity: Identity) -> None:
    """Paint hair over the head, with the shadow that it throws on the skin."""
    cut = CUTS[identity.hair.style]
    reach = 0.30 + 1.4 * cut.side
    frame = layer.frame.within(0.5 - reach, -0.15, 0.5 + reach, cut.bottom + 0.1)
    strands = _strands(identity, cut, frame)
    mask, shade = _front_mask(identity, cut, frame, strands)
    part, gloss, alpha = (layer.frame.cut(canvas, frame) for canvas in (layer.colour, layer.gloss, layer.alpha))
    shadow = np.float32(0.42) * frame.blur(mask, 0.014) * (1 - mask)
    for channel in range(3):
        part[..., channel] *= 1 - shadow
    part[...] = cv2.blendLinear(_colour(identity, cut, frame, strands, shade), part, mask, 1 - mask)
    gloss *= 1 - mask
    np.maximum(alpha, mask, out=alpha)
