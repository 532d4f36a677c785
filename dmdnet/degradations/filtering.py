"""Filtering a picture with a kernel."""

from __future__ import annotations

import cv2
import numpy as np

from dmdnet.degradations.kernels import BlurDraw, KernelDraw, gaussian_row, kernel_of


def blur(image: np.ndarray, params: KernelDraw) -> np.ndarray:
    """Return uint8 `image` filtered with the kernel of `params`; borders are mirrored without repeating a pixel."""
    if isinstance(params, BlurDraw) and params.sigma_x == params.sigma_y:
        row = gaussian_row(params.kernel_size, params.sigma_x)
        return cv2.sepFilter2D(image, -1, row, row)
    kernel = kernel_of(params)
    if len(kernel) > 11:  # OpenCV turns to Fourier transforms here, which are slower on uint8
        return cv2.filter2D(image.astype(np.float32), -1, kernel).round().clip(0, 255).astype(np.uint8)
    return cv2.filter2D(image, -1, kernel)
