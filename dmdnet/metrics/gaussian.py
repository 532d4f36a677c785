"""The moments of two pictures under SSIM's Gaussian window."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

WINDOW = 11
SIGMA = 1.5


def ssim_parts(first_BCHW: Tensor, second_BCHW: Tensor, peak: float = 255.0) -> tuple[Tensor, Tensor]:
    """Return the maps of luminance and of contrast and structure, float64 (B,C,H-10,W-10); SSIM is their product.

    Equations 6 and 9 of Wang et al., IEEE TIP 2004, with K1 = 0.01, K2 = 0.03 and the variances of the population.
    Windows lie wholly inside the picture.

    Args:
        first_BCHW, second_BCHW: float64 pictures in [0, peak].
        peak: the largest value that a pixel can have.
    """
    if first_BCHW.device.type == "cpu":  # plane by plane, so that all of it stays in the caches of one core
        planes = zip(first_BCHW.flatten(0, 1).numpy(), second_BCHW.flatten(0, 1).numpy(), strict=True)
        luminance, contrast_structure = zip(*(_parts(*pair, peak) for pair in planes), strict=True)
        batch = first_BCHW.shape[:2]
        maps = (torch.from_numpy(np.stack(part)).unflatten(0, batch) for part in (luminance, contrast_structure))
        return next(maps), next(maps)
    return _parts(first_BCHW, second_BCHW, peak)


def _parts(first: Any, second: Any, peak: float) -> tuple[Any, Any]:
    """Return both maps of tensors, or of one plane each as arrays: torch's threads would wait for each other there."""
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean1, mean2 = _blur(first), _blur(second)
    product = mean1 * mean2
    squares = mean1 * mean1 + mean2 * mean2
    covariance = _blur(first * second) - product
    variances = _blur(first * first + second * second) - squares  # only their sum counts
    return (2 * product + c1) / (squares + c1), (2 * covariance + c2) / (variances + c2)


def _blur(planes: Any) -> Any:
    """Return (..., H-10, W-10): every plane under the separable window, without padding."""
    half = WINDOW // 2
    weights = [math.exp(-((offset - half) ** 2) / (2 * SIGMA**2)) for offset in range(WINDOW)]
    weights = [weight / sum(weights) for weight in weights]
    if isinstance(planes, np.ndarray):  # OpenCV's filter is several times as fast as torch's convolution of float64
        row = np.array(weights)
        blurred = cv2.sepFilter2D(planes, cv2.CV_64F, row, row)
        return blurred[half : len(blurred) - half, half : blurred.shape[1] - half]
    for axis in (-2, -1):
        planes = _weighted_shifts(planes, weights, axis)
    return planes


def _weighted_shifts(planes: Tensor, weights: list[float], axis: int) -> Tensor:
    length = planes.shape[axis] - len(weights) + 1
    total = planes.narrow(axis, 0, length) * weights[0]
    for offset, weight in enumerate(weights[1:], start=1):
        total.add_(planes.narrow(axis, offset, length), alpha=weight)
    return total
