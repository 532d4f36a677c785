"""Where a filter reads when it looks over the edge of a picture, for pictures of different sizes in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from dmdnet.ops.degrade.to_device import counting, to_device


def mirrored(lengths_B: Sequence[int], start: int, stop: int) -> np.ndarray:
    """Return the pixels that positions start..stop-1 read when the edges are mirrors: int64 (B, stop - start).

    The pixel at the edge is not repeated (OpenCV's BORDER_REFLECT_101); an axis of one pixel gives that pixel.
    """
    last_B1 = np.array(lengths_B, np.int64)[:, None] - 1
    period_B1 = np.maximum(2 * last_B1, 1)
    places = np.arange(start, stop) % period_B1
    return np.minimum(places, period_B1 - places) * (last_B1 > 0)


def repeated(lengths_B: Sequence[int], start: int, stop: int) -> np.ndarray:
    """Return the pixels that positions start..stop-1 read when the last pixel goes on: int64 (B, stop - start)."""
    last_B1 = np.array(lengths_B, np.int64)[:, None] - 1
    return np.clip(np.arange(start, stop), 0, last_B1)


def read_at(pixels_BCHW: Tensor, rows_BI: np.ndarray, columns_BJ: np.ndarray) -> Tensor:
    """Return (B, C, I, J): the pixels of each picture at its own rows and columns."""
    device = pixels_BCHW.device
    batch_B111 = counting(len(pixels_BCHW), device)[:, None, None, None]
    channel_C11 = counting(pixels_BCHW.shape[1], device)[:, None, None]
    rows_B1I1 = to_device(rows_BI[:, None, :, None], device)
    columns_B11J = to_device(columns_BJ[:, None, None, :], device)
    return pixels_BCHW[batch_B111, channel_C11, rows_B1I1, columns_B11J]
