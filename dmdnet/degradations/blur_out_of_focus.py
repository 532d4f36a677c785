"""Blurs with other profiles than a Gaussian's: generalised Gaussian and plateau."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dmdnet.degradations.base import Probability, Range, check_range
from dmdnet.degradations.blur import draw_ellipse
from dmdnet.degradations.canvas import Canvas
from dmdnet.degradations.choices import KernelSize, draw_odd, odd_sizes
from dmdnet.degradations.filtering import blur, blur_canvas
from dmdnet.degradations.kernels import LARGEST_SIGMA, SMALLEST_SIGMA, GeneralizedDraw, PlateauDraw
from dmdnet.registry import DEGRADATIONS

# with more the edge is as sharp as pixels allow, and powers of the distance would not fit a float64
SMALLEST_BETA, LARGEST_BETA = 0.1, 50.0


@DEGRADATIONS.register()
class GeneralizedGaussianBlur:
    """Blur with exp(-q^beta / 2), q the squared distance in deviations: beta 1 is a Gaussian, more is flatter.

    `sigma`, `isotropic_prob` and `kernel_size` are those of GaussianBlur. Where `beta` holds 1 inside, half of the
    draws are uniform below 1 and half above, as the usual pipelines do; otherwise it is uniform.
    """

    def __init__(
        self,
        *,
        sigma: Range,
        beta: Range = (0.5, 4.0),
        kernel_size: KernelSize = 41,
        isotropic_prob: Probability = 0.5,
        prob: Probability = 1.0,
    ) -> None:
        self.kernel_sizes = odd_sizes("GeneralizedGaussianBlur", kernel_size)
        self.sigma = check_range("GeneralizedGaussianBlur: sigma", sigma, maximum=LARGEST_SIGMA)
        self.beta = check_range("GeneralizedGaussianBlur: beta", beta, SMALLEST_BETA, LARGEST_BETA)
        self.isotropic_prob = isotropic_prob
        self.prob = prob

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> GeneralizedDraw | None:
        """Return the kernel's parameters, None when the blur is left out or too small to be seen."""
        if rng.random() >= self.prob:
            return None
        kernel_size = draw_odd(self.kernel_sizes, rng)
        ellipse = draw_ellipse(self.sigma, self.isotropic_prob, rng)
        draw = GeneralizedDraw(kernel_size, *ellipse, draw_beta(self.beta, rng))
        return draw if max(draw.sigma_x, draw.sigma_y) >= SMALLEST_SIGMA else None

    def apply(self, image: np.ndarray, params: GeneralizedDraw) -> np.ndarray:
        """Return the blurred picture; the border is mirrored without repeating its pixels."""
        return blur(image, params)

    def apply_batch(self, canvas: Canvas, params_B: Sequence[GeneralizedDraw]) -> Canvas:
        """Return the canvas of filtered pictures."""
        return blur_canvas(canvas, params_B)


@DEGRADATIONS.register()
class PlateauBlur:
    """Blur with 1 / (1 + q^beta), q the squared distance in deviations: nearly constant inside, as a lens out of focus.

    The options are those of GeneralizedGaussianBlur.
    """

    def __init__(
        self,
        *,
        sigma: Range,
        beta: Range = (1.0, 2.0),
        kernel_size: KernelSize = 41,
        isotropic_prob: Probability = 0.5,
        prob: Probability = 1.0,
    ) -> None:
        self.kernel_sizes = odd_sizes("PlateauBlur", kernel_size)
        self.sigma = check_range("PlateauBlur: sigma", sigma, maximum=LARGEST_SIGMA)
        self.beta = check_range("PlateauBlur: beta", beta, SMALLEST_BETA, LARGEST_BETA)
        self.isotropic_prob = isotropic_prob
        self.prob = prob

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> PlateauDraw | None:
        """Return the kernel's parameters, None when the blur is left out or too small to be seen."""
        if rng.random() >= self.prob:
            return None
        kernel_size = draw_odd(self.kernel_sizes, rng)
        ellipse = draw_ellipse(self.sigma, self.isotropic_prob, rng)
        draw = PlateauDraw(kernel_size, *ellipse, draw_beta(self.beta, rng))
        return draw if max(draw.sigma_x, draw.sigma_y) >= SMALLEST_SIGMA else None

    def apply(self, image: np.ndarray, params: PlateauDraw) -> np.ndarray:
        """Return the blurred picture; the border is mirrored without repeating its pixels."""
        return blur(image, params)

    def apply_batch(self, canvas: Canvas, params_B: Sequence[PlateauDraw]) -> Canvas:
        """Return the canvas of filtered pictures."""
        return blur_canvas(canvas, params_B)


def draw_beta(bounds: Range, rng: np.random.Generator) -> float:
    """Return a shape: uniform, or half of the time on either side of 1 when 1 lies inside `bounds`."""
    low, high = bounds
    above = rng.random() < 0.5
    if low < 1.0 < high:
        low, high = (1.0, high) if above else (low, 1.0)
    return float(rng.uniform(low, high))
