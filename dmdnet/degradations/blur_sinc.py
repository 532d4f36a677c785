"""The ringing of a sharp low-pass filter, as sharpening and compression leave it."""

from __future__ import annotations

import math

import numpy as np

from dmdnet.degradations.base import Probability, Range, check_range
from dmdnet.degradations.blurring import Blur
from dmdnet.degradations.choices import KernelSize, draw_odd, odd_sizes
from dmdnet.degradations.kernels import SincDraw
from dmdnet.registry import DEGRADATIONS


@DEGRADATIONS.register()
class SincBlur(Blur[SincDraw]):
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
        super().__init__(prob)
        self.kernel_sizes = odd_sizes("SincBlur", kernel_size)
        self.cutoff = check_range("SincBlur: cutoff", cutoff, minimum=0.05, maximum=math.pi)

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> SincDraw:
        """Return the kernel's parameters."""
        return SincDraw(draw_odd(self.kernel_sizes, rng), float(rng.uniform(*self.cutoff)))
