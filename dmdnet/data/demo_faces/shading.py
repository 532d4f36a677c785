"""Light on the relief: diffuse light that wraps round as in skin, cast shadows, cavities and highlights."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .paint import FloatArray, blur, smoothstep
from .relief import CELLS, HIGH, LOW, Relief
from .shot import Light

_CELL = (HIGH - LOW) / CELLS
_WRAP = np.array([0.50, 0.36, 0.28], np.float32)  # red light travels furthest in skin


@dataclass(frozen=True)
class Shading:
    """Factor (CELLS, CELLS, 3) on the colour and added highlight (CELLS, CELLS), on the relief's grid."""

    gain: FloatArray
    highlight: FloatArray


def light_direction(light: Light, turn: FloatArray) -> FloatArray:
    """Return the unit vector to the key light in the head's axes, for a head turned by the 3x3 `turn`."""
    cos = np.cos(light.elevation)
    seen = np.array([np.sin(light.azimuth) * cos, -np.sin(light.elevation), np.cos(light.azimuth) * cos])
    return turn.T @ seen


def _normals(height: FloatArray) -> FloatArray:
    zx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / (8 * _CELL), borderType=cv2.BORDER_REPLICATE)
    zy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / (8 * _CELL), borderType=cv2.BORDER_REPLICATE)
    normal = np.stack([-zx, -zy, np.ones_like(zx)], -1)
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def _shadow(height: FloatArray, to_light: FloatArray) -> FloatArray:
    """Return how far each cell lies in the cast shadow, 0..1."""
    flat = np.hypot(to_light[0], to_light[1])
    if flat < 0.05:
        return np.zeros_like(height)
    deepest = np.zeros_like(height)
    for step in np.array([0.012, 0.022, 0.034, 0.048, 0.066, 0.09]):
        shift = step * to_light[:2] / flat / _CELL
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(height, matrix, (CELLS, CELLS), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        climb = step * max(to_light[2], 0.15) / flat
        deepest = np.maximum(deepest, (moved - height - np.float32(climb)) / np.float32(0.012 + 0.25 * step))
    return blur(smoothstep(0.0, 1.0, deepest), 1.6)


def shade(relief: Relief, light: Light, turn: FloatArray) -> Shading:
    """Return the shading of `relief` under `light` for a head turned by the 3x3 `turn`."""
    to_light = light_direction(light, turn).astype(np.float32)
    normal = _normals(relief.height)
    facing = normal @ to_light
    soft = 0.35 * (1 - light.hardness)
    wrap = _WRAP + np.float32(soft)
    diffuse = np.maximum((facing[..., None] + wrap) / (1 + wrap), 0.0) ** 1.25
    cast = _shadow(relief.height, to_light)
    cavity = np.clip((relief.height - blur(relief.height, 7.0)) * 9.0, -0.30, 0.10) + np.clip(
        (relief.height - blur(relief.height, 2.5)) * 14.0, -0.22, 0.06
    )
    up = 0.5 - 0.5 * normal[..., 1]
    sky = (light.ambient * (0.72 + 0.42 * up) * (1 + cavity))[..., None] * np.asarray(light.ambient_colour, np.float32)
    lit = (light.key * (1 - (0.35 + 0.45 * light.hardness) * cast))[..., None] * diffuse
    rim = light.rim * np.maximum(-normal[..., 0] * np.sign(light.azimuth), 0.0) ** 3
    total = sky + lit * np.asarray(light.colour, np.float32) + 0.7 * rim[..., None]
    gain = (total / 1.12) ** 0.62
    half = to_light + np.array([0, 0, 1], np.float32) @ turn.astype(np.float32)
    half /= np.linalg.norm(half)
    mirror = np.maximum(normal @ half, 0.0)
    highlight = light.key * (1 - cast) * (0.085 * mirror**10 + 0.10 * mirror**38)
    return Shading(gain.astype(np.float32), highlight.astype(np.float32))
