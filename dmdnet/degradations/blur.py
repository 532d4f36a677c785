"""Gaussian blur, round or elongated, with a kernel cut to a fixed window as the usual pipelines do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dmdnet.degradations.base import Probability, Range, check_range
from dmdnet.degradations.canvas import Canvas
from dmdnet.degradations.choices import KernelSize, draw_odd, odd_sizes
from dmdnet.degradations.filtering import blur, blur_canvas
from dmdnet.degradations.kernels import LARGEST_SIGMA, SMALLEST_SIGMA, BlurDraw
from dmdnet.registry import DEGRADATIONS


@DEGRADATIONS.register()
class GaussianBlur:
    """Blur with a Gaussian whose standard deviations are uniform in `sigma` (pixels).

    With probability `isotropic_prob` the kernel is round; otherwise both deviations are drawn and the kernel is
    turned by a uniform angle. The kernel is cut to `kernel_size` x `kernel_size` (two numbers: odd sizes from the
    first to the second, equally likely) and normalised.
    """

    def __init__(
        self,
        *,
        sigma: Range,
        kernel_size: KernelSize = 41,
        isotropic_prob: Probability = 0.5,
        prob: Probability = 1.0,
    ) -> None:
        self.kernel_sizes = odd_sizes("GaussianBlur", kernel_size)
        self.sigma = check_range("GaussianBlur: sigma", sigma, maximum=LARGEST_SIGMA)
        self.isotropic_prob = isotropic_prob
        self.prob = prob

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> BlurDraw | None:
        """Return the kernel's parameters, None when the blur is left out or too small to be seen."""
        if rng.random() >= self.prob:
            return None
        kernel_size = draw_odd(self.kernel_sizes, rng)
        sigma_x, sigma_y, angle = draw_ellipse(self.sigma, self.isotropic_prob, rng)
        if max(sigma_x, sigma_y) < SMALLEST_SIGMA:
            return None
        return BlurDraw(kernel_size, sigma_x, sigma_y, angle)

    def apply(self, image: np.ndarray, params: BlurDraw) -> np.ndarray:
        """Return the blurred picture; the border is mirrored without repeating its pixels."""
        return blur(image, params)

    def apply_batch(self, canvas: Canvas, params_B: Sequence[BlurDraw]) -> Canvas:
        """Return the canvas of filtered pictures."""
        return blur_canvas(canvas, params_B)


def draw_ellipse(sigma: Range, isotropic_prob: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the deviations along two axes (equal with probability `isotropic_prob`) and the axes' angle (radians)."""
    sigma_x, sigma_y = rng.uniform(*sigma, 2).tolist()
    angle = float(rng.uniform(-math.pi, math.pi))
    if rng.random() < isotropic_prob:
        return sigma_x, sigma_x, 0.0
    return sigma_x, sigma_y, angle
