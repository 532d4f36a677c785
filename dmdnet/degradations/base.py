"""The shape of a degradation and the few helpers that they share.

Pictures are RGB (H, W, 3) in grey levels 0..255. What a camera or a file holds is uint8: the picture at the start and
the end, after noise and after compression. Filters and resizings give float32 and are not rounded: half a level less
or more before a JPEG is a whole level after it, on average over the picture. Sizes are (height, width).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Annotated, Any, Generic, Protocol, TypeVar, runtime_checkable

import cv2
import numpy as np
from pydantic import Field

from dmdnet.degradations.canvas import Canvas
from dmdnet.errors import ConfigError

Probability = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]
Draw = TypeVar("Draw", bound=Hashable)


class Degradation(Protocol):
    """One operation: a distribution of parameters (`draw`) and what they do to a picture (`apply`)."""

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Hashable | None:
        """Return all numbers of one application, immutable and comparable; None when the picture stays as it is.

        `size` is the size of the picture that enters the whole pipeline.
        """

    def apply(self, image: np.ndarray, params: Hashable) -> np.ndarray:
        """Return the degraded picture, uint8 or float32 (H', W', 3); `image`, either of them, is not changed.

        float32 may lie outside 0..255 where a filter overshoots; compression, noise and the end of the pipeline
        limit it.
        """


@runtime_checkable
class BatchDegradation(Protocol):
    """An operation that also has a form for a batch on the device; without one it is applied picture by picture."""

    def apply_batch(self, canvas: Canvas, params_B: Sequence[Any]) -> Canvas:
        """Return the degraded canvas: the same pictures as `apply` gives, on average within one grey level.

        The canvas holds only pictures that are to be degraded, `params_B` the draw of each: none of them is None.
        Nothing may wait for the device; what depends on the draws is worked out on the host.
        """


class Occasional(ABC, Generic[Draw]):
    """An operation that is left out now and then: the first number drawn says whether, `prob` how often it is not."""

    def __init__(self, prob: float) -> None:
        self.prob = prob

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Draw | None:
        """Return all numbers of one application, None when the picture stays as it is."""
        return None if rng.random() >= self.prob else self.draw_params(rng, size)

    @abstractmethod
    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> Draw | None:
        """Return the numbers of an application that is not left out; None when it would change nothing to be seen."""


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Return grey levels rounded (halves to even) and limited to 0..255; the same array when it is uint8."""
    if image.dtype == np.uint8:
        return image
    return cv2.addWeighted(image, 1.0, image, 0.0, 0.0, dtype=cv2.CV_8U)


def check_range(name: str, bounds: Range, minimum: float = 0.0, maximum: float = float("inf")) -> Range:
    """Return `bounds` when minimum <= low <= high <= maximum.

    Raises:
        ConfigError: they are not; the message names the option.
    """
    low, high = bounds
    if not minimum <= low <= high <= maximum:
        raise ConfigError(f"{name}: [{low:g}, {high:g}] is not a range low <= high within [{minimum:g}, {maximum:g}]")
    return bounds
