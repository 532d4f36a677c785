"""Gaussian blur, round or elongated, with a kernel cut to a fixed window as the usual pipelines do."""

from __future__ import annotations

import numpy as np

from dmdnet.degradations.base import Probability, Range
from dmdnet.degradations.blurring import EllipticBlur, can_be_seen
from dmdnet.degradations.choices import KernelSize
from dmdnet.degradations.kernels import BlurDraw
from dmdnet.registry import DEGRADATIONS


@DEGRADATIONS.register()
class GaussianBlur(EllipticBlur[BlurDraw]):
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
        super().__init__(sigma, kernel_size, isotropic_prob, prob)

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> BlurDraw | None:
        """Return the kernel's parameters, None when the blur is too small to be seen."""
        kernel_size, ellipse = self.draw_ellipse(rng)
        return BlurDraw(kernel_size, *ellipse) if can_be_seen(ellipse) else None
