"""Changes of colour: brightness, contrast, saturation, hue, a cast, and grey.

All of them together are one affine map of (R, G, B).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from dmdnet.degradations.base import Occasional, Probability, Range, check_range
from dmdnet.degradations.canvas import Canvas
from dmdnet.ops.degrade.color import map_colors
from dmdnet.registry import DEGRADATIONS

LUMA = np.array([0.299, 0.587, 0.114])  # BT.601, as JPEG and OpenCV's grey pictures
TO_YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
FROM_YIQ = np.linalg.inv(TO_YIQ)
LARGEST_FACTOR = 255.0  # takes one level to white


@dataclass(frozen=True)
class ColorDraw:
    """Factors of brightness, contrast and saturation, a turn of the hue (radians), and shifts in grey levels."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    shift_red: float
    shift_green: float
    shift_blue: float


@DEGRADATIONS.register()
class ColorJitter(Occasional[ColorDraw]):
    """Change colours as light and cameras do.

    Args:
        brightness, contrast, saturation: ranges of factors, uniform; 1 changes nothing. Contrast is about the
            picture's mean grey, saturation about each pixel's own grey.
        hue: range of the turn of the hue, degrees, uniform; greys and every pixel's luma stay.
        shift: largest cast: to each channel a number uniform in -shift..shift is added (grey levels).
    """

    def __init__(
        self,
        *,
        brightness: Range = (1.0, 1.0),
        contrast: Range = (1.0, 1.0),
        saturation: Range = (1.0, 1.0),
        hue: Range = (0.0, 0.0),
        shift: Annotated[float, Field(ge=0, le=255)] = 0.0,
        prob: Probability = 1.0,
    ) -> None:
        super().__init__(prob)
        self.brightness = check_range("ColorJitter: brightness", brightness, maximum=LARGEST_FACTOR)
        self.contrast = check_range("ColorJitter: contrast", contrast, maximum=LARGEST_FACTOR)
        self.saturation = check_range("ColorJitter: saturation", saturation, maximum=LARGEST_FACTOR)
        self.hue = check_range("ColorJitter: hue", hue, minimum=-180.0, maximum=180.0)
        self.shift = shift

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> ColorDraw:
        """Return the factors."""
        brightness, contrast, saturation = (
            float(rng.uniform(*bounds)) for bounds in (self.brightness, self.contrast, self.saturation)
        )
        hue = math.radians(float(rng.uniform(*self.hue)))
        red, green, blue = rng.uniform(-self.shift, self.shift, 3).tolist()
        return ColorDraw(brightness, contrast, saturation, hue, red, green, blue)

    def apply(self, image: np.ndarray, params: ColorDraw) -> np.ndarray:
        """Return the picture in its new colours, limited to 0..255."""
        return _mapped(image, color_map(params, cv2.mean(image)[:3]))

    def apply_batch(self, canvas: Canvas, params_B: Sequence[ColorDraw]) -> Canvas:
        """Return the canvas in its new colours, limited to 0..255."""
        return _map_canvas(canvas, params_B)


@DEGRADATIONS.register()
class Grayscale(Occasional[ColorDraw]):
    """Take the colours away: all three channels become the luma 0.299 R + 0.587 G + 0.114 B."""

    def __init__(self, *, prob: Probability = 1.0) -> None:
        super().__init__(prob)

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> ColorDraw:
        """Return a saturation of 0."""
        return ColorDraw(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    def apply(self, image: np.ndarray, params: ColorDraw) -> np.ndarray:
        """Return the grey picture, three channels."""
        return _mapped(image, color_map(params, (0.0, 0.0, 0.0)))

    def apply_batch(self, canvas: Canvas, params_B: Sequence[ColorDraw]) -> Canvas:
        """Return the canvas of grey pictures, three channels."""
        return _map_canvas(canvas, params_B)


def _mapped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    colors = cv2.transform(image.astype(np.float32, copy=False), matrix)
    return np.clip(colors, 0.0, 255.0, out=colors)


def _map_canvas(canvas: Canvas, params_B: Sequence[ColorDraw]) -> Canvas:
    maps_B34 = np.stack([color_map(params, (0.0, 0.0, 0.0)) for params in params_B])
    pivots_B = [contrast_pivot(params) for params in params_B]
    return canvas.with_pixels(map_colors(canvas.pixels_BCHW, canvas.sizes, maps_B34, pivots_B, LUMA.tolist()))


def contrast_pivot(params: ColorDraw) -> float:
    """Return the share of the picture's mean grey in every pixel."""
    return params.brightness * (1.0 - params.contrast)


def color_map(params: ColorDraw, mean: tuple[float, ...]) -> np.ndarray:
    """Return the affine map of a column (R, G, B, 1), float32 (3, 4): hue, saturation, contrast, brightness, shifts.

    Args:
        mean: mean R, G, B of the picture, grey levels; only contrast looks at it.
    """
    turn = np.eye(3)
    turn[1:, 1:] = [[math.cos(params.hue), -math.sin(params.hue)], [math.sin(params.hue), math.cos(params.hue)]]
    hue = FROM_YIQ @ turn @ TO_YIQ
    grey = np.tile(LUMA, (3, 1))
    saturation = params.saturation * np.eye(3) + (1.0 - params.saturation) * grey
    linear = params.brightness * params.contrast * (saturation @ hue)
    middle = contrast_pivot(params) * float(LUMA @ np.array(mean))
    offset = middle + np.array([params.shift_red, params.shift_green, params.shift_blue])
    return np.concatenate([linear, offset[:, None]], axis=1).astype(np.float32)
