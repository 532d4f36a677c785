"""The ringing of a sharp low-pass filter, as sharpening and compression leave it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dmdnet.degradations.base import Probability, Range, check_range
from dmdnet.degradations.canvas import Canvas
from dmdnet.degradations.choices import KernelSize, draw_odd, odd_sizes
from dmdnet.degradations.filtering import blur, blur_canvas
from dmdnet.degradations.kernels import SincDraw
from dmdnet.registry import DEGRADATIONS


@DEGRADATIONS.register()
class SincBlur:
    """Filter with a circular low-pass whose cut-off (radians per pixel, at most pi) is uniform in `cutoff`.

    The kernel is cut to `kernel_size` x `kernel_size` without a softer window (two numbers: odd sizes from the first
    to the second, equally likely); edges overshoot and ring.
    """

    def __init__(
        self,
        *,
        cutoff: Range = (math.pi / 5, math.pi),
        kernel_size: KernelSize = (7, 21),
        prob: Probability = 1.0,
    ) -> None:
        self.kernel_sizes = odd_sizes("SincBlur", kernel_size)
        self.cutoff = check_range("SincBlur: cutoff", cutoff, minimum=0.05, maximum=math.pi)
        self.prob = prob

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> SincDraw | None:
        """Return the kernel's parameters, None when the filter is left out."""
        if rng.random() >= self.prob:
            return None
        return SincDraw(draw_odd(self.kernel_sizes, rng), float(rng.uniform(*self.cutoff)))

    def apply(self, image: np.ndarray, params: SincDraw) -> np.ndarray:
        """Return the filtered picture; the border is mirrored without repeating its pixels."""
        return blur(image, params)

    def apply_batch(self, canvas: Canvas, params_B: Sequence[SincDraw]) -> Canvas:
        """Return the canvas of filtered pictures."""
        return blur_canvas(canvas, params_B)
