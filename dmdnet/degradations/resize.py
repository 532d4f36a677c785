"""Resizing: down by a random factor, up or down or not at all, and back to the size at the start."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from dmdnet.degradations.base import Occasional, Probability, Range, check_range
from dmdnet.degradations.canvas import Canvas
from dmdnet.degradations.choices import Weight, pick, thresholds
from dmdnet.errors import ConfigError
from dmdnet.ops.degrade import resize as batch
from dmdnet.registry import DEGRADATIONS

Mode = Literal["nearest", "bilinear", "bicubic", "area", "lanczos"]
INTERPOLATION: dict[str, int] = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}


@dataclass(frozen=True)
class ResizeDraw:
    """The size to reach, in pixels, and how."""

    height: int
    width: int
    mode: str


class Resizing:
    """What a draw of a size does."""

    def apply(self, image: np.ndarray, params: ResizeDraw) -> np.ndarray:
        """Return the picture at the drawn size."""
        return resize(image, params)

    def apply_batch(self, canvas: Canvas, params_B: Sequence[ResizeDraw]) -> Canvas:
        """Return the canvas of pictures at their drawn sizes."""
        targets = [batch.Target(params.height, params.width, params.mode) for params in params_B]
        pixels_BCHW = batch.resize(canvas.pixels_BCHW, canvas.sizes, targets)
        return Canvas(pixels_BCHW, tuple((target.height, target.width) for target in targets))


class RandomResize(Resizing, Occasional[ResizeDraw]):
    """To a drawn size, with one of `modes`, drawn with `weights` when given."""

    def __init__(self, modes: tuple[Mode, ...], weights: tuple[Weight, ...] | None, prob: float) -> None:
        super().__init__(prob)
        self.modes = modes
        self.thresholds = thresholds(type(self).__name__, weights, len(modes))

    def draw_mode(self, rng: np.random.Generator) -> Mode:
        """Return one of the modes."""
        return self.modes[pick(self.thresholds, rng)]


@DEGRADATIONS.register()
class Downsample(RandomResize):
    """Resize to the size at the start divided by a factor in `scale` (below 1 it is enlarged).

    The factor is uniform, or with `distribution: log` uniform in its logarithm. The mode is drawn from `modes`,
    with `weights` when given. No filter is added against aliasing: `area` has one, the blur before is another.
    """

    def __init__(
        self,
        *,
        scale: Range,
        distribution: Literal["uniform", "log"] = "uniform",
        modes: Annotated[tuple[Mode, ...], Field(min_length=1)] = ("bilinear",),
        weights: tuple[Weight, ...] | None = None,
        prob: Probability = 1.0,
    ) -> None:
        super().__init__(modes, weights, prob)
        self.scale = check_range("Downsample: scale", scale, minimum=0.1)
        self.distribution = distribution

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> ResizeDraw:
        """Return the reduced size, at least one pixel."""
        low, high = self.scale
        if self.distribution == "log":
            factor = math.exp(rng.uniform(math.log(low), math.log(high)))
        else:
            factor = rng.uniform(low, high)
        mode = self.draw_mode(rng)
        height, width = (max(1, int(side // factor)) for side in size)
        return ResizeDraw(height, width, mode)


@DEGRADATIONS.register()
class Resize(RandomResize):
    """Enlarge, reduce or keep, by weight; sizes are the size at the start times a factor.

    Args:
        factor: smallest and largest factor, below and above 1: a reduction is uniform between the smallest and 1, an
            enlargement between 1 and the largest.
        up_down_keep: weights of enlarging, reducing, and the factor 1.
        base: the size at the start is first divided by this (2 or more for the second round of a pipeline whose end
            is smaller than its start).
        modes: interpolations, drawn with `weights` when given.
    """

    def __init__(
        self,
        *,
        factor: Range,
        up_down_keep: tuple[Weight, Weight, Weight] = (0.2, 0.7, 0.1),
        base: Annotated[float, Field(ge=1)] = 1.0,
        modes: Annotated[tuple[Mode, ...], Field(min_length=1)] = ("area", "bilinear", "bicubic"),
        weights: tuple[Weight, ...] | None = None,
        prob: Probability = 1.0,
    ) -> None:
        super().__init__(modes, weights, prob)
        self.factor = check_range("Resize: factor", factor, minimum=0.01, maximum=16.0)
        if not factor[0] <= 1.0 <= factor[1]:
            raise ConfigError(f"Resize: factor [{factor[0]:g}, {factor[1]:g}] does not hold 1; use Downsample")
        self.direction = thresholds("Resize: up_down_keep", up_down_keep, 3)
        self.base = base

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> ResizeDraw:
        """Return the size to reach, at least one pixel."""
        low, high = self.factor
        bounds = ((1.0, high), (low, 1.0), (1.0, 1.0))[pick(self.direction, rng)]
        factor = rng.uniform(*bounds) / self.base
        mode = self.draw_mode(rng)
        height, width = (max(1, int(side * factor)) for side in size)
        return ResizeDraw(height, width, mode)


@DEGRADATIONS.register()
class ResizeBack(Resizing):
    """Resize to the size at the start of the pipeline."""

    def __init__(self, *, mode: Mode = "bilinear") -> None:
        self.mode = mode

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> ResizeDraw:
        """Return the size at the start; nothing is random."""
        return ResizeDraw(size[0], size[1], self.mode)


def resize(image: np.ndarray, params: ResizeDraw) -> np.ndarray:
    """Return `image` (uint8 or float32) at the size of `params`, float32; the same array when it has that size."""
    if image.shape[:2] == (params.height, params.width):
        return image
    picture = image.astype(np.float32, copy=False)
    return cv2.resize(picture, (params.width, params.height), interpolation=INTERPOLATION[params.mode])
