"""A list of degradations as one: draw all parameters, apply them in order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from dmdnet.degradations.base import BatchDegradation, Degradation, to_uint8
from dmdnet.degradations.canvas import Canvas, largest
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
    degraded = to_uint8(apply_in_order(image, ops, draws))
    return degraded.copy() if degraded is image else degraded


def apply_in_order(image: np.ndarray, ops: Sequence[Degradation], draws: Draws) -> np.ndarray:
    """Return the picture after the operations as they leave it, uint8 or float32; `image` itself after none."""
    for op, params in zip(ops, draws, strict=True):
        if params is not None:
            image = op.apply(image, params)
    return image


def degrade(image: np.ndarray, ops: Sequence[Degradation], rng: np.random.Generator) -> np.ndarray:
    """Return a degraded copy of `image` (uint8 RGB); the same generator state gives the same picture.

    The result has the size of `image` when the last resize is `ResizeBack`.
    """
    height, width = image.shape[:2]
    return apply_degradation(image, ops, draw_degradation(ops, rng, (height, width)))


def degrade_batch(images_BCHW: Tensor, ops: Sequence[Degradation], draws_B: Sequence[Draws]) -> Tensor:
    """Return the pictures of a batch, each after the operations with its own parameters, on the pictures' device.

    The same draws give the same pictures as `apply_degradation` (on average over a picture within one grey level).

    Args:
        images_BCHW: uint8 RGB (B, 3, H, W).
        draws_B: one result of `draw_degradation` per picture.

    Returns:
        uint8 (B, 3, H, W).

    Raises:
        DataError: the pictures have another type, or do not come back to one size.
    """
    return apply_ops_to_canvas(ops, Canvas.of(images_BCHW), draws_B).to_uint8()


def apply_ops_to_canvas(ops: Sequence[Degradation], canvas: Canvas, draws_B: Sequence[Draws]) -> Canvas:
    """Return the canvas after the operations, each picture's with its own draws.

    Where sizes have come to differ much, small and large pictures go on apart until the end.
    """
    parts = [(tuple(range(len(draws_B))), canvas)]
    for op, params_B in zip(ops, zip(*draws_B, strict=True), strict=True):
        parts = [(rows, apply_to_canvas(op, part, [params_B[row] for row in rows])) for rows, part in parts]
        parts = [(tuple(rows[i] for i in own), piece) for rows, part in parts for own, piece in part.by_size()]
    return Canvas.joined(parts)


def apply_to_canvas(op: Degradation, canvas: Canvas, params_B: Sequence[Hashable | None]) -> Canvas:
    """Return the canvas after one operation; pictures whose parameters are None stay as they are.

    An operation without a batch form is applied picture by picture on the host.
    """
    rows = [row for row, params in enumerate(params_B) if params is not None]
    if not rows:
        return canvas
    apply = op.apply_batch if isinstance(op, BatchDegradation) else partial(_apply_on_host, op)
    if len(rows) == len(params_B):
        return apply(canvas, params_B)
    return canvas.replace(rows, apply(canvas.select(rows), [params_B[row] for row in rows]))


def _apply_on_host(op: Degradation, canvas: Canvas, params_B: Sequence[Hashable]) -> Canvas:
    pictures = canvas.pixels_BCHW.permute(0, 2, 3, 1).cpu().numpy()
    degraded = []
    for picture, (height, width), params in zip(pictures, canvas.sizes, params_B, strict=True):
        own = np.ascontiguousarray(picture[:height, :width])
        degraded.append(op.apply(own, params))
    sizes = tuple((picture.shape[0], picture.shape[1]) for picture in degraded)
    height, width = largest(sizes)
    pixels = np.zeros((len(degraded), height, width, 3), np.float32)
    for row, picture in zip(pixels, degraded, strict=True):
        row[: picture.shape[0], : picture.shape[1]] = picture
    device = canvas.pixels_BCHW.device
    return Canvas(torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).contiguous(), sizes)
