"""What all blurs share: the picture is filtered with the kernel of the draw; many have an ellipse for a shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from dmdnet.degradations.base import Occasional, Range, check_range
from dmdnet.degradations.canvas import Canvas
from dmdnet.degradations.choices import KernelSize, draw_odd, odd_sizes
from dmdnet.degradations.filtering import blur, blur_canvas
from dmdnet.degradations.kernels import LARGEST_SIGMA, SMALLEST_SIGMA, KernelDraw

AnyKernel = TypeVar("AnyKernel", bound=KernelDraw)
Ellipse = tuple[float, float, float]  # deviations along two axes, and the axes' angle (radians)


class Blur(Occasional[AnyKernel]):
    """A filter whose kernel is drawn anew for each picture."""

    def apply(self, image: np.ndarray, params: AnyKernel) -> np.ndarray:
        """Return the filtered picture; the border is mirrored without repeating its pixels."""
        return blur(image, params)

    def apply_batch(self, canvas: Canvas, params_B: Sequence[AnyKernel]) -> Canvas:
        """Return the canvas of filtered pictures."""
        return blur_canvas(canvas, params_B)


class EllipticBlur(Blur[AnyKernel]):
    """A blur with a standard deviation along each axis of an ellipse, in a window of its own size.

    Raises:
        ConfigError: an even window, or a range that is none; the message begins with the name of the class.
    """

    def __init__(self, sigma: Range, kernel_size: KernelSize, isotropic_prob: float, prob: float) -> None:
        super().__init__(prob)
        name = type(self).__name__
        self.kernel_sizes = odd_sizes(name, kernel_size)
        self.sigma = check_range(f"{name}: sigma", sigma, maximum=LARGEST_SIGMA)
        self.isotropic_prob = isotropic_prob

    def draw_ellipse(self, rng: np.random.Generator) -> tuple[int, Ellipse]:
        """Return the side of the window and the ellipse: round with probability `isotropic_prob`."""
        kernel_size = draw_odd(self.kernel_sizes, rng)
        sigma_x, sigma_y = rng.uniform(*self.sigma, 2).tolist()
        angle = float(rng.uniform(-math.pi, math.pi))
        if rng.random() < self.isotropic_prob:
            return kernel_size, (sigma_x, sigma_x, 0.0)
        return kernel_size, (sigma_x, sigma_y, angle)


def can_be_seen(ellipse: Ellipse) -> bool:
    """Return whether a kernel of this shape gives the neighbours a weight that counts."""
    return max(ellipse[:2]) >= SMALLEST_SIGMA
