"""Gaussian blur, round or elongated, with a kernel cut to a fixed window as the usual pipelines do."""

from __future__ import annotations

import math
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from dmdnet.degradations.base import Probability, Range, check_range
from dmdnet.degradations.kernels import SMALLEST_SIGMA, BlurDraw, gaussian_kernel, gaussian_row
from dmdnet.errors import ConfigError
from dmdnet.registry import DEGRADATIONS


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
