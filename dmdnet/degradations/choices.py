"""Drawing one of several by weight, and odd sizes from a range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from dmdnet.degradations.kernels import LARGEST_KERNEL
from dmdnet.errors import ConfigError

Weight = Annotated[float, Field(ge=0)]
Window = Annotated[int, Field(ge=3, le=LARGEST_KERNEL)]
KernelSize = Window | tuple[Window, Window]


def thresholds(name: str, weights: Sequence[float] | None, count: int) -> np.ndarray:
    """Return the upper ends of `count` intervals of 0..1 as wide as `weights` say; equally wide ones without weights.

    Raises:
        ConfigError: another number of weights, or all are 0; the message begins with `name`.
    """
    chances = np.array(weights if weights is not None else [1.0] * count, dtype=np.float64)
    if len(chances) != count or chances.sum() <= 0:
        raise ConfigError(f"{name}: weights {chances.tolist()} do not fit {count} choices with one above 0")
    return np.cumsum(chances / chances.sum())


def pick(ends: np.ndarray, rng: np.random.Generator) -> int:
    """Return the number of the interval of `thresholds` that a uniform number falls into."""
    return min(int(np.searchsorted(ends, rng.random(), "right")), len(ends) - 1)


def odd_sizes(name: str, kernel_size: KernelSize) -> tuple[int, int]:
    """Return the smallest and largest side of a kernel.

    Raises:
        ConfigError: one is even, or they are in the wrong order; the message begins with `name`.
    """
    low, high = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    if low % 2 == 0 or high % 2 == 0:
        raise ConfigError(f"{name}: kernel_size {low if low % 2 == 0 else high} is even; it has to be odd")
    if low > high:
        raise ConfigError(f"{name}: kernel_size [{low}, {high}] has its smaller number last; turn them round")
    return low, high


def draw_odd(bounds: tuple[int, int], rng: np.random.Generator) -> int:
    """Return an odd number uniform in `bounds`, both ends included; a single one costs no draw."""
    low, high = bounds
    return low if low == high else low + 2 * int(rng.integers((high - low) // 2 + 1))
