"""Map the colours of each picture of a batch by its own affine map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dmdnet.ops.degrade.to_device import to_device
from dmdnet.ops.precision import full_float32_products


def map_colors(
    pixels_BCHW: Tensor,
    sizes_B: Sequence[tuple[int, int]],
    maps_B34: np.ndarray,
    pivots_B: Sequence[float],
    luma: Sequence[float],
) -> Tensor:
    """Return colours times each picture's map of a column (R, G, B, 1), limited to 0..255, not rounded.

    Args:
        pivots_B: what share of the picture's mean grey is added to all channels (1 - contrast, as it were).
        luma: weights of red, green and blue in the grey.
    """
    device = pixels_BCHW.device
    maps = to_device(maps_B34.astype(np.float32), device)
    linear_B33, offsets_B31 = maps.split([3, 1], dim=2)
    if any(pivots_B):
        # (B, 3) mean colours; their weights hold each picture's pivot
        weights_B3 = to_device(np.outer(pivots_B, luma).astype(np.float32), device)
        offsets_B31 = offsets_B31 + (means(pixels_BCHW, sizes_B) * weights_B3).sum(1)[:, None, None]
    with full_float32_products(device):
        return torch.baddbmm(offsets_B31, linear_B33, pixels_BCHW.flatten(2)).view_as(pixels_BCHW).clamp_(0, 255)


def means(pixels_BCHW: Tensor, sizes_B: Sequence[tuple[int, int]]) -> Tensor:
    """Return each picture's mean colour, (B, 3)."""
    if all(size == pixels_BCHW.shape[2:] for size in sizes_B):
        return pixels_BCHW.mean((2, 3))
    rows_BH, columns_BW = (
        to_device(np.arange(length) < np.array(lengths)[:, None], pixels_BCHW.device)
        for length, lengths in zip(pixels_BCHW.shape[2:], zip(*sizes_B, strict=True), strict=True)
    )
    inside_B1HW = (rows_BH[:, :, None] & columns_BW[:, None, :])[:, None]
    areas_B = to_device(np.array([height * width for height, width in sizes_B], np.float32), pixels_BCHW.device)
    return torch.where(inside_B1HW, pixels_BCHW, 0.0).sum((2, 3)) / areas_B[:, None]
