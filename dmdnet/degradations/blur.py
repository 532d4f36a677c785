"""Gaussian blur, round or elongated, with a kernel cut to a fixed window as the usual pipelines do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from dmdnet.degradations.base import Probability, Range, check_range
from dmdnet.errors import ConfigError
from dmdnet.registry import DEGRADATIONS

# below this the neighbours' weights sum to under 2e-5: less than a hundredth of a grey level
SMALLEST_SIGMA = 0.2
# weight of the farthest tap relative to the middle, below which a tap is left out
NEGLIGIBLE_WEIGHT = 1e-5


@dataclass(frozen=True)
class BlurDraw:
    """Standard deviations in pixels along the axes of the kernel, turned by `angle` (radians)."""

    kernel_size: int
    sigma_x: float
    sigma_y: float
    angle: float


@DEGRADATIONS.register()
class GaussianBlur:
    """Blur with a Gaussian whose standard deviations are uniform in `sigma` (pixels).

    With probability `isotropic_prob` the kernel is round; otherwise both deviations are drawn and the kernel is
    turned by a uniform angle. The kernel is cut to `kernel_size` x `kernel_size` and normalised.
    """

    def __init__(
        self,
        *,
        sigma: Range,
        kernel_size: Annotated[int, Field(ge=3, le=41)] = 41,
        isotropic_prob: Probability = 0.5,
        prob: Probability = 1.0,
    ) -> None:
        if kernel_size % 2 == 0:
            raise ConfigError(f"GaussianBlur: kernel_size {kernel_size} is even; it has to be odd")
        self.sigma = check_range("GaussianBlur: sigma", sigma)
        self.kernel_size = kernel_size
        self.isotropic_prob = isotropic_prob
        self.prob = prob

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> BlurDraw | None:
        """Return the kernel's parameters, None when the blur is left out or too small to be seen."""
        if rng.random() >= self.prob:
            return None
        sigma_x, sigma_y = rng.uniform(*self.sigma, 2).tolist()
        angle = float(rng.uniform(-math.pi, math.pi))
        if rng.random() < self.isotropic_prob:
            sigma_y, angle = sigma_x, 0.0
        if max(sigma_x, sigma_y) < SMALLEST_SIGMA:
            return None
        return BlurDraw(self.kernel_size, sigma_x, sigma_y, angle)

    def apply(self, image: np.ndarray, params: BlurDraw) -> np.ndarray:
        """Return the blurred picture; the border is mirrored without repeating its pixels."""
        if params.sigma_x == params.sigma_y:
            row = gaussian_row(params.kernel_size, params.sigma_x)
            return cv2.sepFilter2D(image, -1, row, row)
        kernel = gaussian_kernel(params)
        if len(kernel) > 11:  # OpenCV turns to Fourier transforms here, which are slower on uint8
            return cv2.convertScaleAbs(cv2.filter2D(image.astype(np.float32), -1, kernel))
        return cv2.filter2D(image, -1, kernel)


def gaussian_row(kernel_size: int, sigma: float) -> np.ndarray:
    """Return a normalised 1-D Gaussian of at most `kernel_size` taps, without its negligible ends, float32."""
    half = min(kernel_size // 2, _support(sigma))
    taps = np.arange(-half, half + 1)
    row = np.exp(-0.5 * (taps / sigma) ** 2)
    return (row / row.sum()).astype(np.float32)


def gaussian_kernel(params: BlurDraw) -> np.ndarray:
    """Return the normalised 2-D kernel exp(-x^T C^-1 x / 2), C = R diag(sigma^2) R^T, float32 (k, k).

    A deviation of less than SMALLEST_SIGMA along one axis is taken as SMALLEST_SIGMA.
    """
    sigma_x, sigma_y = max(params.sigma_x, SMALLEST_SIGMA), max(params.sigma_y, SMALLEST_SIGMA)
    half = min(params.kernel_size // 2, _support(max(sigma_x, sigma_y)))
    taps = np.arange(-half, half + 1, dtype=np.float64)
    x, y = np.meshgrid(taps, taps)
    cosine, sine = math.cos(params.angle), math.sin(params.angle)
    u, v = cosine * x + sine * y, cosine * y - sine * x
    kernel = np.exp(-0.5 * ((u / sigma_x) ** 2 + (v / sigma_y) ** 2))
    return (kernel / kernel.sum()).astype(np.float32)


def _support(sigma: float) -> int:
    """Return the distance in pixels at which a Gaussian's weight has become negligible."""
    return max(1, math.ceil(sigma * math.sqrt(-2 * math.log(NEGLIGIBLE_WEIGHT))))
