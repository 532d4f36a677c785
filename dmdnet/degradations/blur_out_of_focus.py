"""Blurs with other profiles than a Gaussian's: generalised Gaussian and plateau."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from dmdnet.degradations.base import Probability, Range, check_range
from dmdnet.degradations.blurring import EllipticBlur, can_be_seen
from dmdnet.degradations.choices import KernelSize
from dmdnet.degradations.kernels import GeneralizedDraw, PlateauDraw, ProfileDraw
from dmdnet.registry import DEGRADATIONS

# with more the edge is as sharp as pixels allow, and powers of the distance would not fit a float64
SMALLEST_BETA, LARGEST_BETA = 0.1, 50.0


class ProfileBlur(EllipticBlur[ProfileDraw]):
    """A blur whose profile has a shape `beta` besides its deviations; `draw_type` has its formula."""

    draw_type: ClassVar[type[ProfileDraw]]

    def __init__(self, sigma: Range, beta: Range, kernel_size: KernelSize, isotropic_prob: float, prob: float) -> None:
        super().__init__(sigma, kernel_size, isotropic_prob, prob)
        self.beta = check_range(f"{type(self).__name__}: beta", beta, SMALLEST_BETA, LARGEST_BETA)

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> ProfileDraw | None:
        """Return the kernel's parameters, None when the blur is too small to be seen."""
        kernel_size, ellipse = self.draw_ellipse(rng)
        beta = draw_beta(self.beta, rng)
        return self.draw_type(kernel_size, *ellipse, beta) if can_be_seen(ellipse) else None


@DEGRADATIONS.register()
class GeneralizedGaussianBlur(ProfileBlur):
    """Blur with exp(-q^beta / 2), q the squared distance in deviations: beta 1 is a Gaussian, more is flatter.

    `sigma`, `isotropic_prob` and `kernel_size` are those of GaussianBlur. Where `beta` holds 1 inside, half of the
    draws are uniform below 1 and half above, as the usual pipelines do; otherwise it is uniform.
    """

    draw_type = GeneralizedDraw

    def __init__(
        self,
        *,
        sigma: Range,
        beta: Range = (0.5, 4.0),
        kernel_size: KernelSize = 41,
        isotropic_prob: Probability = 0.5,
        prob: Probability = 1.0,
    ) -> None:
        super().__init__(sigma, beta, kernel_size, isotropic_prob, prob)


@DEGRADATIONS.register()
class PlateauBlur(ProfileBlur):
    """Blur with 1 / (1 + q^beta), q the squared distance in deviations: nearly constant inside, as a lens out of focus.

    The options are those of GeneralizedGaussianBlur.
    """

    draw_type = PlateauDraw

    def __init__(
        self,
        *,
        sigma: Range,
        beta: Range = (1.0, 2.0),
        kernel_size: KernelSize = 41,
        isotropic_prob: Probability = 0.5,
        prob: Probability = 1.0,
    ) -> None:
        super().__init__(sigma, beta, kernel_size, isotropic_prob, prob)


def draw_beta(bounds: Range, rng: np.random.Generator) -> float:
    """Return a shape: uniform, or half of the time on either side of 1 when 1 lies inside `bounds`."""
    low, high = bounds
    above = rng.random() < 0.5
    if low < 1.0 < high:
        low, high = (1.0, high) if above else (low, 1.0)
    return float(rng.uniform(low, high))
