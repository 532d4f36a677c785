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
    """Return the maps of luminance and of contrast and structure, float32 (B,C,H-10,W-10); SSIM is their product.

    Equations 6 and 9 of Wang et al., IEEE TIP 2004, with K1 = 0.01, K2 = 0.03 and the variances of the population.
    Windows lie wholly inside the picture.

    Args:
        first_BCHW, second_BCHW: pictures in [0, peak], of any type.
        peak: the largest value that a pixel can have.
    """
    if first_BCHW.device.type == "cpu":  # plane by plane, so that all of it stays in the caches of a core
        planes = zip(first_BCHW.flatten(0, 1).numpy(), second_BCHW.flatten(0, 1).numpy(), strict=True)
        found = [_parts(one.astype(np.float32), other.astype(np.float32), peak) for one, other in planes]
        batch = first_BCHW.shape[:2]
        maps = (torch.from_numpy(np.stack(part)).unflatten(0, batch) for part in zip(*found, strict=True))
        return next(maps), next(maps)
    return _parts(first_BCHW.float(), second_BCHW.float(), peak)


def _parts(first: Any, second: Any, peak: float) -> tuple[Any, Any]:
    """Return both maps of float32 tensors, or of one plane each as arrays.

    With the sum s and the difference d of two pixels, 2ab = a^2 + b^2 - d^2: each map is 1 less a small fraction of
    d, and no difference of large numbers is lost to float32. Taking `peak` off the sum halves its size once more.
    """
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    total, difference = first + second - peak, first - second
    mean_total, mean_difference = _blur(total), _blur(difference)
    total *= total
    difference *= difference
    squared_difference = mean_difference * mean_difference
    variance_difference = _blur(difference) - squared_difference
    variances = (_blur(total) - mean_total * mean_total + variance_difference) / 2  # the two pictures' sum
    mean_total += peak
    means = (mean_total * mean_total + squared_difference) / 2
    return 1 - squared_difference / (means + c1), 1 - variance_difference / (variances + c2)


def _blur(planes: Any) -> Any:
    """Return (..., H-10, W-10): every plane under the separable window, without padding."""
    half = WINDOW // 2
    weights = [math.exp(-((offset - half) ** 2) / (2 * SIGMA**2)) for offset in range(WINDOW)]
    weights = [weight / sum(weights) for weight in weights]
    if isinstance(planes, np.ndarray):  # OpenCV's filter is several times as fast as torch's convolution
        row = np.array(weights, np.float32)
        blurred = cv2.sepFilter2D(planes, cv2.CV_32F, row, row)
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
