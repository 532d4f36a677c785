"""The statistics of a picture that NIQE looks at (Mittal, Soundararajan and Bovik, IEEE SPL 2013).

Shapes: H W pixels, K blocks, h w pixels of a block.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

BLOCK = 96
_WINDOW, _SIGMA = 7, 7 / 6
# Each pixel is multiplied with its neighbour to the right, below, and on both diagonals.
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
# Shapes of the generalised Gaussian that are tried, and the ratio of moments that belongs to each (equation 8).
_SHAPES = np.arange(0.2, 10.001, 0.001)
_LOG_GAMMA = np.vectorize(math.lgamma)
_RATIOS = np.exp(2 * _LOG_GAMMA(2 / _SHAPES) - _LOG_GAMMA(1 / _SHAPES) - _LOG_GAMMA(3 / _SHAPES))


def block_features(luma_HW: np.ndarray) -> np.ndarray:
    """Return 36 numbers of each block of 96 x 96 pixels, (K, 36) float64: 18 at full and 18 at half the size.

    A block without variation has NaN. Pixels at the right and the bottom that fill no block are left out.

    Args:
        luma_HW: float64, in [0, 255].
    """
    height, width = (side // BLOCK * BLOCK for side in luma_HW.shape)
    picture, scales = luma_HW[:height, :width], []
    for block in (BLOCK, BLOCK // 2):
        scales.append(_features(_blocks(_normalised(picture), block)))
        picture = half_size(picture)
    return np.concatenate(scales, axis=1)


def half_size(picture_HW: np.ndarray) -> np.ndarray:
    """Return the picture at half its (even) size by the bicubic filter widened by two, as MATLAB's imresize does."""
    distances = np.abs(np.arange(8) - 3.5) / 2
    inner = (1.5 * distances - 2.5) * distances**2 + 1
    outer = ((-0.5 * distances + 2.5) * distances - 4) * distances + 2
    weights = np.where(distances <= 1, inner, outer)
    weights /= weights.sum()
    for axis in (0, 1):
        rows = np.moveaxis(picture_HW, axis, 0)
        padded = np.pad(rows, ((3, 4), (0, 0)), mode="symmetric")
        count = len(rows) // 2
        rows = sum(weight * padded[tap : tap + 2 * count : 2] for tap, weight in enumerate(weights))
        picture_HW = np.moveaxis(rows, 0, axis)
    return picture_HW


def _normalised(picture_HW: np.ndarray) -> np.ndarray:
    """Return the pixels without local mean and contrast (equation 1)."""
    taps = np.exp(-((np.arange(_WINDOW) - _WINDOW // 2) ** 2) / (2 * _SIGMA**2))
    taps /= taps.sum()

    def blur(plane: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(np.ascontiguousarray(plane), cv2.CV_64F, taps, taps, borderType=cv2.BORDER_REPLICATE)

    mean = blur(picture_HW)
    deviation = np.sqrt(np.abs(blur(picture_HW**2) - mean**2))
    result: np.ndarray = (picture_HW - mean) / (deviation + 1)
    return result


def _blocks(picture_HW: np.ndarray, side: int) -> np.ndarray:
    """Return the blocks, (K, side, side)."""
    rows, columns = (length // side for length in picture_HW.shape)
    return picture_HW.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)


def _features(blocks_Khw: np.ndarray) -> np.ndarray:
    """Return 18 numbers of each block: two of its pixels, four of the products with each of four neighbours."""
    shape, left, right = asymmetric_fit(blocks_Khw)
    columns = [shape, (left + right) / 2]
    for down, across in _NEIGHBOURS:
        shape, left, right = asymmetric_fit(blocks_Khw * np.roll(blocks_Khw, (down, across), axis=(1, 2)))
        mean = (right - left) * np.exp(_LOG_GAMMA(2 / shape) - _LOG_GAMMA(1 / shape))  # equation 7
        columns += [shape, mean, left, right]
    return np.stack(columns, axis=1)


def asymmetric_fit(values_Khw: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shape and both scales of the asymmetric generalised Gaussian that has each block's moments, (K,) each.

    NaN for a block that does not have values on both sides of zero.
    """
    flat = values_Khw.reshape(len(values_Khw), -1)
    squares = flat**2
    sides = []
    for chosen in (flat < 0, flat > 0):
        count = chosen.sum(axis=1)
        sides.append(np.sqrt((squares * chosen).sum(axis=1) / np.where(count, count, np.nan)))
    left, right = sides
    ratio = left / right
    moment = np.abs(flat).mean(axis=1) ** 2 / np.where(squares.any(axis=1), squares.mean(axis=1), np.nan)
    wanted = moment * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    found = np.array([np.argmin((_RATIOS - one) ** 2) if np.isfinite(one) else 0 for one in wanted])
    shape = np.where(np.isfinite(wanted), _SHAPES[found], np.nan)
    scale = np.exp((_LOG_GAMMA(1 / shape) - _LOG_GAMMA(3 / shape)) / 2)
    return shape, left * scale, right * scale
