"""Drawing tools: anti-aliased masks, strokes, curves and smooth noise on a pixel frame given in unit coordinates.

One unit is the side of the picture. A `Frame` is a rectangle of pixels somewhere in that plane; the centre of the pixel
that touches the origin lies at half a pixel, so the same drawing at two sizes differs only by its sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]  # float32 pictures, float64 points

_SHIFT = 4


def generator(seed: int, number: int, stream: int) -> np.random.Generator:
    """Return the random stream `stream` of item `number`; streams and items are independent of each other."""
    mask = (1 << 64) - 1
    return np.random.Generator(np.random.Philox(key=[seed & mask, number & mask], counter=[0, 0, 0, stream & mask]))


def smoothstep(low: float, high: float, value: FloatArray) -> FloatArray:
    """Return 0 below `low`, 1 above `high` and a smooth cubic between; `low` may exceed `high`."""
    # Plain floats keep float32 arrays float32.
    t = np.clip((value - float(low)) / float(high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def bump(x: FloatArray, y: FloatArray, cx: float, cy: float, sx: float, sy: float) -> FloatArray:
    """Return a Gaussian hill of height 1 at (cx, cy)."""
    along = np.exp(-0.5 * ((x - float(cx)) / float(sx)) ** 2)
    return along * np.exp(-0.5 * ((y - float(cy)) / float(sy)) ** 2)


def spline(points: FloatArray, samples: int = 8) -> FloatArray:
    """Return an open Catmull-Rom curve through `points` (N, 2), `samples` a span; every point lies on it."""
    p = np.asarray(points, np.float64)
    ends = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    a, b, c, d = (ends[i : len(ends) - 3 + i, None] for i in range(4))
    t = np.arange(samples)[:, None] / samples
    curve = 0.5 * (2 * b + t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * b - a - 3 * c + d))))
    return np.concatenate([curve.reshape(-1, 2), p[-1:]])


def closed_spline(points: FloatArray, samples: int = 8) -> FloatArray:
    """Return a closed smooth curve through `points` (N, 2)."""
    p = np.asarray(points, np.float64)
    long = spline(np.concatenate([p[-2:], p, p[:3]]), samples)
    return long[2 * samples : (2 + len(p)) * samples]


@dataclass(frozen=True)
class Frame:
    """A rectangle of pixels whose corner is pixel (left, top) of a plane with `scale` pixels a unit."""

    left: int
    top: int
    width: int
    height: int
    scale: float

    @staticmethod
    def covering(x0: float, y0: float, x1: float, y1: float, scale: float) -> Frame:
        """Return the smallest frame that covers the rectangle given in units."""
        left, top = int(np.floor(x0 * scale)), int(np.floor(y0 * scale))
        return Frame(left, top, int(np.ceil(x1 * scale)) - left, int(np.ceil(y1 * scale)) - top, scale)

    def within(self, x0: float, y0: float, x1: float, y1: float) -> Frame:
        """Return the part of this frame that covers the rectangle given in units (at least one pixel)."""
        inner = Frame.covering(x0, y0, x1, y1, self.scale)
        left = min(max(inner.left, self.left), self.left + self.width - 1)
        top = min(max(inner.top, self.top), self.top + self.height - 1)
        right = max(min(inner.left + inner.width, self.left + self.width), left + 1)
        bottom = max(min(inner.top + inner.height, self.top + self.height), top + 1)
        return Frame(left, top, right - left, bottom - top, self.scale)

    def around(self, points: FloatArray, margin: float = 0.0) -> Frame:
        """Return the part of this frame around `points` (N, 2) with a margin in units."""
        low, high = np.min(points, axis=0) - margin, np.max(points, axis=0) + margin
        return self.within(float(low[0]), float(low[1]), float(high[0]), float(high[1]))

    def cut(self, canvas: FloatArray, part: Frame) -> FloatArray:
        """Return the view of `canvas` (drawn on this frame) that `part` covers."""
        y, x = part.top - self.top, part.left - self.left
        return canvas[y : y + part.height, x : x + part.width]

    def grid(self) -> tuple[FloatArray, FloatArray]:
        """Return float32 unit coordinates x (1, W) and y (H, 1) of the pixel centres."""
        x = (np.arange(self.width, dtype=np.float32) + (self.left + 0.5)) / np.float32(self.scale)
        y = (np.arange(self.height, dtype=np.float32) + (self.top + 0.5)) / np.float32(self.scale)
        return x[None, :], y[:, None]

    def pixels(self, points: FloatArray) -> FloatArray:
        """Return `points` (N, 2) in units as pixels of this frame."""
        return np.asarray(points, np.float64) * self.scale - (self.left + 0.5, self.top + 0.5)

    def _fixed(self, points: FloatArray) -> NDArray[np.int32]:
        return np.round(self.pixels(points) * (1 << _SHIFT)).astype(np.int32)

    def polygon(self, points: FloatArray) -> FloatArray:
        """Return the anti-aliased mask (H, W) float32 in [0, 1] of a closed outline (N, 2) in units."""
        mask = np.zeros((self.height, self.width), np.uint8)
        cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_AA, _SHIFT)
        return mask.astype(np.float32) * np.float32(1 / 255)

    def strokes(self, lines: Sequence[FloatArray], widths: Sequence[float]) -> FloatArray:
        """Return the mask of tapering strokes: each line (N, 2) starts with its width (units) and ends in a point."""
        mask = np.zeros((self.height, self.width), np.uint8)
        for line, width in zip(lines, widths, strict=True):
            self._fill(mask, line[None], np.array([width]))
        return mask.astype(np.float32) * np.float32(1 / 255)

    def hairs(self, lines: FloatArray, widths: FloatArray) -> FloatArray:
        """Return the mask of many strokes at once: `lines` (M, N, 2), `widths` (M,)."""
        mask = np.zeros((self.height, self.width), np.uint8)
        self._fill(mask, lines, widths)
        return mask.astype(np.float32) * np.float32(1 / 255)

    def _fill(self, mask: FloatArray, lines: FloatArray, widths: FloatArray) -> None:
        # A stroke under one pixel is drawn one pixel wide and fainter, so that sizes agree.
        drawn = np.maximum(widths, 1.25 / self.scale)
        values = (255 * widths / drawn).astype(int)
        for outline, value in zip(self._fixed(ribbons(lines, drawn)), values, strict=True):
            cv2.fillPoly(mask, [outline], int(value), cv2.LINE_AA, _SHIFT)

    def dots(self, centres: FloatArray, radii: FloatArray, values: FloatArray) -> FloatArray:
        """Return the mask of discs at `centres` (M, 2) with `radii` (M,) units and `values` (M,) in [0, 1]."""
        mask = np.zeros((self.height, self.width), np.uint8)
        drawn = np.maximum(radii, 0.8 / self.scale)
        faint = values * np.minimum(1.0, (radii / drawn) ** 2)
        sizes = np.round(drawn * self.scale * (1 << _SHIFT)).astype(int)
        for (x, y), size, value in zip(self._fixed(centres).tolist(), sizes.tolist(), faint.tolist(), strict=True):
            cv2.circle(mask, (x, y), size, int(255 * min(value, 1.0)), -1, cv2.LINE_AA, _SHIFT)
        return mask.astype(np.float32) * np.float32(1 / 255)

    def blur(self, mask: FloatArray, sigma: float) -> FloatArray:
        """Return `mask` blurred by a Gaussian of `sigma` units."""
        return blur(mask, sigma * self.scale)


def ribbons(lines: FloatArray, widths: FloatArray, tip: float = 0.15) -> FloatArray:
    """Return outlines (M, 2N, 2) of strokes along `lines` (M, N, 2), from `widths` (M,) down to `tip` of them."""
    tangent = np.empty_like(lines)
    tangent[:, 1:-1] = lines[:, 2:] - lines[:, :-2]
    tangent[:, 0], tangent[:, -1] = lines[:, 1] - lines[:, 0], lines[:, -1] - lines[:, -2]
    tangent /= np.maximum(np.hypot(tangent[..., :1], tangent[..., 1:]), 1e-9)
    normal = tangent[..., ::-1] * (-1.0, 1.0)
    half = 0.5 * widths[:, None, None] * np.linspace(1.0, tip, lines.shape[1])[:, None]
    return np.concatenate([lines + normal * half, (lines - normal * half)[:, ::-1]], 1)


def blur(image: FloatArray, sigma: float) -> FloatArray:
    """Return `image` blurred by a Gaussian of `sigma` pixels; wide ones are done on a smaller picture."""
    if sigma < 0.3:
        return image
    factor = int(sigma // 4)
    if factor < 2 or min(image.shape[:2]) < 8 * factor:
        return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(width // factor, 1), max(height // factor, 1)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def over(canvas: FloatArray, colour: FloatArray | Sequence[float], alpha: FloatArray) -> None:
    """Lay `colour` (3,) or (H, W, 3) over `canvas` (H, W, 3) in place with opacity `alpha` (H, W)."""
    top = np.asarray(colour, np.float32)
    alpha = alpha.astype(np.float32, copy=False)
    if top.ndim == 1:
        for channel in range(3):
            plane = canvas[..., channel]
            plane += (top[channel] - plane) * alpha
        return
    canvas[...] = cv2.blendLinear(np.ascontiguousarray(top), canvas, alpha, 1 - alpha)


def tint(canvas: FloatArray, factor: Sequence[float] | FloatArray, alpha: FloatArray) -> None:
    """Multiply `canvas` by `factor` (3,) in place where `alpha` (H, W) is 1, and less where it is less."""
    for channel in range(3):
        canvas[..., channel] *= 1 + alpha * np.float32(factor[channel] - 1)


def noise_plane(rng: np.random.Generator, size: int = 256, sigma: float = 0.0) -> FloatArray:
    """Return tiling noise (size, size) float32 of mean 0 and deviation 1, smoothed over `sigma` of its cells."""
    plane: FloatArray = rng.standard_normal((size, size), dtype=np.float32)
    if sigma > 0:
        pad = int(4 * sigma) + 1
        wide = np.pad(plane, pad, mode="wrap")
        plane = cv2.GaussianBlur(wide, (0, 0), sigma)[pad:-pad, pad:-pad]
        plane = plane / np.float32(plane.std())
    return np.ascontiguousarray(plane)


def sample_plane(plane: FloatArray, u: FloatArray, v: FloatArray) -> FloatArray:
    """Return `plane` read at cells (u, v) with wrapping; u and v broadcast to the shape of the answer."""
    u, v = np.broadcast_arrays(u.astype(np.float32), v.astype(np.float32))
    return cv2.remap(plane, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
