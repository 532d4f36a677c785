"""Filtering with a large kernel as a product of spectra: exact up to float32's rounding (1e-3 of a grey level).

`cv2.filter2D` does this tile by tile for kernels of more than 11 x 11; whole planes at once take a quarter of its time.
"""

from __future__ import annotations

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
    gains = _gains(kernel, shape)
    # fresh memory costs as much as the transforms: the planes share theirs
    plane, spectrum = np.empty(shape, np.float32), np.empty(shape, np.float32)
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


def _gains(kernel: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return what each number of a packed spectrum is multiplied by, for a transform and back without scaling.

    The spectrum of a symmetric kernel is real. OpenCV packs the spectrum of real numbers into as many real ones: along
    a row re0, re1, im1, re2, im2, ..., and the first and last column, which are spectra of real numbers again,
    likewise downwards; both parts of a number get the same factor.
    """
    places = np.arange(len(kernel)) - len(kernel) // 2
    centred = np.zeros(shape, np.float32)
    centred[np.ix_(places, places)] = kernel / np.float32(centred.size)
    gains = cv2.dft(centred)
    gains[:, 2:-1:2] = gains[:, 1:-2:2]
    for column in (0, -1):
        gains[2:-1:2, column] = gains[1:-2:2, column]
    return gains


def _fast_size(size: int) -> int:
    """Return an even size of at least `size` that has only small factors."""
    return 2 * int(cv2.getOptimalDFTSize((size + 1) // 2))
