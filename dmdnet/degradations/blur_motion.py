"""Motion blur: a straight, even movement during the exposure."""

from __future__ import annotations

import math

import numpy as np

from dmdnet.degradations.base import Probability, Range, check_range
from dmdnet.degradations.blurring import Blur
from dmdnet.degradations.kernels import LARGEST_KERNEL, MotionDraw
from dmdnet.registry import DEGRADATIONS

# a shorter path moves less than a tenth of the light to the neighbours
SHORTEST_PATH = 0.5


@DEGRADATIONS.register()
class MotionBlur(Blur[MotionDraw]):
    """Blur along a line whose length (pixels, at most 40) and angle (degrees, from x towards y) are uniform."""

    def __init__(self, *, length: Range, angle: Range = (0.0, 180.0), prob: Probability = 1.0) -> None:
        super().__init__(prob)
        self.length = check_range("MotionBlur: length", length, maximum=LARGEST_KERNEL - 1)
        self.angle = check_range("MotionBlur: angle", angle, minimum=-360.0, maximum=360.0)

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> MotionDraw | None:
        """Return the path, None when it is too short to be seen."""
        length = float(rng.uniform(*self.length))
        angle = math.radians(float(rng.uniform(*self.angle)))
        return MotionDraw(length, angle) if length >= SHORTEST_PATH else None
