"""Filtering a picture with a blur's kernel, the quickest way, all of them exact to float32's rounding.

A round Gaussian is applied to rows, then columns; a small kernel directly; a large one as a product of spectra
(fourier.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from dmdnet.degradations.canvas import Canvas
from dmdnet.degradations.fourier import filter_valid
from dmdnet.degradations.kernels import BlurDraw, KernelDraw, gaussian_row, kernel_of
from dmdnet.ops.degrade import blur as batch

LARGEST_DIRECT_KERNEL = 9


def blur(image: np.ndarray, params: KernelDraw) -> np.ndarray:
    """Return `image` filtered with the kernel of `params`; borders are mirrored without repeating a pixel.

    Args:
        image: uint8 or float32 (H, W, 3).

    Returns:
        float32 (H, W, 3), not rounded; a kernel with negative weights overshoots.
    """
    if isinstance(params, BlurDraw) and params.sigma_x == params.sigma_y:
        row = gaussian_row(params.kernel_size, params.sigma_x)
        return cv2.sepFilter2D(image, cv2.CV_32F, row, row)
    return filter_picture(image, kernel_of(params))


def blur_canvas(canvas: Canvas, params_B: Sequence[KernelDraw]) -> Canvas:
    """Return the canvas with every picture filtered with its own kernel."""
    kernels = [kernel_of(params) for params in params_B]
    return canvas.with_pixels(batch.blur(canvas.pixels_BCHW, canvas.sizes, kernels))


def filter_picture(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return `image` filtered with `kernel`, float32 (k, k), symmetric about its centre."""
    if len(kernel) <= LARGEST_DIRECT_KERNEL:
        return cv2.filter2D(image.astype(np.float32), -1, kernel)
    half = len(kernel) // 2
    padded = cv2.copyMakeBorder(image, half, half, half, half, cv2.BORDER_REFLECT_101)
    return filter_valid(padded, kernel)
