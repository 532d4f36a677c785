"""Resize each picture of a batch to its own size in its own mode, as OpenCV does it with float32 pictures.

A resize is a weighted sum of a few pixels along the rows, and one along the columns. The host works out which pixels
and weights, of all pictures at once (`resize_taps.py`); they are kilobytes. Up to eight taps are gathered one after
the other; the many of an area are a matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dmdnet.ops.degrade.resize_taps import AREA, axis_taps, joint_mode
from dmdnet.ops.degrade.to_device import to_device
from dmdnet.ops.precision import full_float32_products

# columns beside a matrix, where taps without weight are written; four keep its rows aligned
_UNREAD = 4

Size = tuple[int, int]


class Target(NamedTuple):
    """The size to reach in pixels, and one of nearest, bilinear, bicubic, area, lanczos."""

    height: int
    width: int
    mode: str


def resize(pixels_BCHW: Tensor, sizes_B: Sequence[Size], targets_B: Sequence[Target]) -> Tensor:
    """Return each picture at its target's size in a canvas of the largest size, not rounded.

    The difference to `cv2.resize` of float32 pictures is below 0.01 grey levels. A picture that has its size already
    stays exactly as it is.
    """
    new_sizes_B = [(target.height, target.width) for target in targets_B]
    jobs = zip(sizes_B, new_sizes_B, targets_B, strict=True)
    modes_B = [joint_mode(size, new_size, target.mode) for size, new_size, target in jobs]
    areas = [row for row, mode in enumerate(modes_B) if mode == AREA]
    others = [row for row, mode in enumerate(modes_B) if mode != AREA]
    if not areas or not others:
        return _resized(pixels_BCHW, sizes_B, new_sizes_B, modes_B)
    height, width = max(size[0] for size in new_sizes_B), max(size[1] for size in new_sizes_B)
    whole = pixels_BCHW.new_zeros(len(modes_B), pixels_BCHW.shape[1], height, width)
    for rows in (areas, others):
        index = to_device(np.array(rows), pixels_BCHW.device)
        sizes, new_sizes = [sizes_B[row] for row in rows], [new_sizes_B[row] for row in rows]
        part = _resized(pixels_BCHW.index_select(0, index), sizes, new_sizes, [modes_B[row] for row in rows])
        whole[..., : part.shape[2], : part.shape[3]].index_copy_(0, index, part)
    return whole


def _resized(
    pixels_BCHW: Tensor, sizes_B: Sequence[Size], new_sizes_B: Sequence[Size], modes_B: Sequence[str]
) -> Tensor:
    weighted_sums: Callable[..., Tensor] = _product if AREA in modes_B else _gathered
    for axis in (1, 0):
        lengths, new_lengths = [size[axis] for size in sizes_B], [size[axis] for size in new_sizes_B]
        pixels_BCHW = weighted_sums(pixels_BCHW, *axis_taps(lengths, new_lengths, modes_B), 2 + axis)
    return pixels_BCHW


def _gathered(pixels_BCHW: Tensor, places_BOT: np.ndarray, weights_BOT: np.ndarray, axis: int) -> Tensor:
    """Return the sums of each picture's taps along axis 2 or 3 as that axis."""
    shape, whole = [-1, len(places_BOT), 1, 1, 1], list(pixels_BCHW.shape)
    shape[1 + axis] = whole[axis] = places_BOT.shape[1]
    places_T = to_device(places_BOT.transpose(2, 0, 1).reshape(shape), pixels_BCHW.device).unbind()
    weights_T = to_device(weights_BOT.transpose(2, 0, 1).reshape(shape), pixels_BCHW.device).unbind()
    total = pixels_BCHW.gather(axis, places_T[0].expand(whole)).mul_(weights_T[0])
    for places, weights in zip(places_T[1:], weights_T[1:], strict=True):
        total.addcmul_(pixels_BCHW.gather(axis, places.expand(whole)), weights)
    return total


def _product(pixels_BCHW: Tensor, places_BOT: np.ndarray, weights_BOT: np.ndarray, axis: int) -> Tensor:
    """Return the same as a product with dense matrices; a pixel has a weight but once in a row."""
    length, device = pixels_BCHW.shape[axis], pixels_BCHW.device
    places_BOT = np.where(weights_BOT > 0, places_BOT, length)
    matrix_BOL = torch.zeros(*places_BOT.shape[:2], length + _UNREAD, device=device)
    matrix_BOL.scatter_(2, to_device(places_BOT, device), to_device(weights_BOT, device))
    matrix_BOL = matrix_BOL[..., :length]
    with full_float32_products(device):
        if axis == 2:
            matrix_NOL = matrix_BOL.repeat_interleave(pixels_BCHW.shape[1], 0)
            return torch.bmm(matrix_NOL, pixels_BCHW.flatten(0, 1)).unflatten(0, pixels_BCHW.shape[:2])
        return torch.bmm(pixels_BCHW.flatten(1, 2), matrix_BOL.mT).unflatten(1, pixels_BCHW.shape[1:3])
