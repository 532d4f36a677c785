"""Resize each picture of a batch to its own size in its own mode, as OpenCV does it with float32 pictures.

A resize is a weighted sum of a few pixels along the rows, and one along the columns. The host works out which pixels
and weights; they are kilobytes. Up to eight taps (all modes but areas) are gathered one after the other; the many of
an area are a matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dmdnet.ops.degrade.to_device import to_device
from dmdnet.ops.precision import full_float32_products

_CUBIC = -0.75  # OpenCV's parameter of the cubic
_MOST_GATHERED = 8
_CACHED = 8192

Axis = tuple[int, int, str]  # length, new length, mode
Taps = tuple[np.ndarray, np.ndarray]


class Target(NamedTuple):
    """The size to reach in pixels, and one of nearest, bilinear, bicubic, area, lanczos."""

    height: int
    width: int
    mode: str


def resize(pixels_BCHW: Tensor, sizes_B: Sequence[tuple[int, int]], targets_B: Sequence[Target]) -> Tensor:
    """Return each picture at its target's size in a canvas of the largest size, not rounded.

    The difference to `cv2.resize` of float32 pictures is below 0.01 grey levels. A picture that has its size already
    stays exactly as it is.
    """
    modes = [_joint_mode(size, target) for size, target in zip(sizes_B, targets_B, strict=True)]
    down = [(size[0], target.height, mode) for size, target, mode in zip(sizes_B, targets_B, modes, strict=True)]
    along = [(size[1], target.width, mode) for size, target, mode in zip(sizes_B, targets_B, modes, strict=True)]
    return _weighted_sums(_weighted_sums(pixels_BCHW, along, 3), down, 2)


@lru_cache(maxsize=_CACHED)
def axis_taps(length: int, new_length: int, mode: str) -> Taps:
    """Return the pixels that each new pixel reads along an axis and their weights: int64, float32 (new_length, taps).

    A pixel may occur more than once in a row: at an edge the last one stands for those beyond it.
    """
    if length == new_length:
        return np.arange(length)[:, None], np.ones((length, 1), np.float32)
    if mode == "area":
        places, weights = _area(length, new_length)
    else:
        places, weights = _MODES[mode](np.arange(new_length), new_length / length)
    return np.clip(places, 0, length - 1), weights.astype(np.float32)


@lru_cache(maxsize=_CACHED)
def _merged_taps(length: int, new_length: int, mode: str) -> Taps:
    """Return the taps with a pixel's whole weight wherever it occurs in a row, so that any one of them may be kept."""
    places, weights = axis_taps(length, new_length, mode)
    equal = places[:, :, None] == places[:, None, :]
    return places, (weights[:, None, :] * equal).sum(-1)


def _weighted_sums(pixels_BCHW: Tensor, axes_B: Sequence[Axis], axis: int) -> Tensor:
    """Return the sums of each picture's taps along axis 2 or 3 as that axis."""
    taps_B = [axis_taps(*parameters) for parameters in axes_B]
    if max(places.shape[1] for places, _ in taps_B) > _MOST_GATHERED:
        return _product(pixels_BCHW, [_merged_taps(*parameters) for parameters in axes_B], axis)
    places_BOT, weights_BOT = _packed(taps_B, filling=0.0)
    shape, whole = [-1, len(taps_B), 1, 1, 1], list(pixels_BCHW.shape)
    shape[1 + axis] = whole[axis] = places_BOT.shape[1]
    places_T = to_device(places_BOT.transpose(2, 0, 1).reshape(shape), pixels_BCHW.device).unbind()
    weights_T = to_device(weights_BOT.transpose(2, 0, 1).reshape(shape), pixels_BCHW.device).unbind()
    total = pixels_BCHW.gather(axis, places_T[0].expand(whole)).mul_(weights_T[0])
    for places, weights in zip(places_T[1:], weights_T[1:], strict=True):
        total.addcmul_(pixels_BCHW.gather(axis, places.expand(whole)), weights)
    return total


def _product(pixels_BCHW: Tensor, merged_B: Sequence[Taps], axis: int) -> Tensor:
    """Return the sums as the product with dense matrices."""
    places_BOT, weights_BOT = _packed(merged_B, filling=1.0)
    device = pixels_BCHW.device
    matrix_BOL = torch.zeros(*places_BOT.shape[:2], pixels_BCHW.shape[axis], device=device)
    matrix_BOL.scatter_(2, to_device(places_BOT, device), to_device(weights_BOT, device))
    with full_float32_products(device):
        if axis == 2:
            return matrix_BOL[:, None] @ pixels_BCHW
        return torch.bmm(pixels_BCHW.flatten(1, 2), matrix_BOL.mT).unflatten(1, pixels_BCHW.shape[1:3])


def _packed(taps_B: Sequence[Taps], filling: float) -> Taps:
    """Return the taps of all pictures as int64 and float32 (B, new length, taps).

    A row with fewer taps is filled up with its first one, its weight times `filling`.
    """
    shape = (len(taps_B), max(len(places) for places, _ in taps_B), max(places.shape[1] for places, _ in taps_B))
    places_BOT, weights_BOT = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    for places_OT, weights_OT, (places, weights) in zip(places_BOT, weights_BOT, taps_B, strict=True):
        rows, count = places.shape
        places_OT[:rows], weights_OT[:rows] = places[:, :1], filling * weights[:, :1]
        places_OT[:rows, :count], weights_OT[:rows, :count] = places, weights
    return places_BOT, weights_BOT


def _joint_mode(size: tuple[int, int], target: Target) -> str:
    """Return the mode of both axes: OpenCV averages areas only where neither axis grows."""
    if target.mode == "area" and (target.height > size[0] or target.width > size[1]):
        return "area_growing"
    return target.mode


def _nearest(new: np.ndarray, factor: float) -> Taps:
    # rounded twice, here and in `_area_growing`, as OpenCV does: at whole numbers it can be felt
    return np.floor(new * (1 / factor)).astype(np.int64)[:, None], np.ones((len(new), 1))


def _bilinear(new: np.ndarray, factor: float) -> Taps:
    places, fraction = _about(new, factor, 2)
    return places, np.stack([1 - fraction, fraction], axis=-1)


def _area_growing(new: np.ndarray, factor: float) -> Taps:
    """Take the pixel in which the new one begins, and the next one by the share that it reaches into."""
    first = np.floor(new * (1 / factor)).astype(np.int64)
    fraction = np.maximum((new + 1) - (first + 1) * factor, 0.0).astype(np.float32)
    fraction -= np.floor(fraction)
    return first[:, None] + np.arange(2), np.stack([1 - fraction, fraction], axis=-1)


def _bicubic(new: np.ndarray, factor: float) -> Taps:
    places, fraction = _about(new, factor, 4)
    distance = np.abs(fraction[:, None] - np.arange(-1, 3))
    near = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance**2 + 1
    far = ((_CUBIC * distance - 5 * _CUBIC) * distance + 8 * _CUBIC) * distance - 4 * _CUBIC
    return places, np.where(distance <= 1, near, far)


def _lanczos(new: np.ndarray, factor: float) -> Taps:
    places, fraction = _about(new, factor, 8)
    distance = fraction[:, None] - np.arange(-3, 5)
    weights = np.sinc(distance) * np.sinc(distance / 4)
    return places, weights / weights.sum(-1, keepdims=True)


def _about(new: np.ndarray, factor: float, taps: int) -> Taps:
    """Return an even number of places about each new pixel's centre, and how far it lies behind the middle one."""
    centre = (new + 0.5) / factor - 0.5
    first = np.floor(centre).astype(np.int64)
    return first[:, None] + np.arange(1 - taps // 2, taps // 2 + 1), centre - first


def _area(length: int, new_length: int) -> Taps:
    """Weigh each pixel by its share in the new pixel's area."""
    edges = np.arange(new_length + 1) * length / new_length
    first = np.floor(edges[:-1]).astype(np.int64)
    places = first[:, None] + np.arange(int((np.ceil(edges[1:]) - first).max()))
    shares = np.minimum(places + 1, edges[1:, None]) - np.maximum(places, edges[:-1, None])
    return places, np.maximum(shares, 0.0) * new_length / length


_MODES = {
    "nearest": _nearest,
    "bilinear": _bilinear,
    "bicubic": _bicubic,
    "lanczos": _lanczos,
    "area_growing": _area_growing,
}
