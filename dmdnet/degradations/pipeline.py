"""A list of degradations as one: draw all parameters, apply them in order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from dmdnet.degradations.base import Degradation
from dmdnet.errors import DataError
from dmdnet.registry import DEGRADATIONS, Component

Draws = tuple[Hashable | None, ...]


def build_degradation(components: Sequence[Component]) -> tuple[Degradation, ...]:
    """Return the operations of a `degradation:` list of an option file."""
    return tuple(DEGRADATIONS.build(component) for component in components)


def draw_degradation(ops: Sequence[Degradation], rng: np.random.Generator, size: tuple[int, int]) -> Draws:
    """Return the parameters of one degradation of a picture of `size` (height, width), one entry an operation."""
    return tuple(op.draw(rng, size) for op in ops)


def apply_degradation(image: np.ndarray, ops: Sequence[Degradation], draws: Draws) -> np.ndarray:
    """Return the picture after the operations with the parameters `draws`: uint8 RGB (H', W', 3), a new array."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise DataError(f"a picture to degrade is uint8 (H, W, 3), got {image.dtype} {image.shape}")
    degraded = image
    for op, params in zip(ops, draws, strict=True):
        if params is not None:
            degraded = op.apply(degraded, params)
    return degraded.copy() if degraded is image else degraded


def degrade(image: np.ndarray, ops: Sequence[Degradation], rng: np.random.Generator) -> np.ndarray:
    """Return a degraded copy of `image` (uint8 RGB); the same generator state gives the same picture.

    The result has the size of `image` when the last resize is `ResizeBack`.
    """
    height, width = image.shape[:2]
    return apply_degradation(image, ops, draw_degradation(ops, rng, (height, width)))
