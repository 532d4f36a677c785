"""Compression: a picture through a file format and back, in memory, at a drawn quality."""

from __future__ import annotations

import cv2
import numpy as np

from dmdnet.degradations.base import Draw, Occasional, check_range, to_uint8
from dmdnet.errors import DataError


class Compression(Occasional[Draw]):
    """A compression at a whole quality that is uniform in `quality`, both ends included.

    Raises:
        ConfigError: `quality` is no range within 1..100; the message begins with the name of the class.
    """

    def __init__(self, quality: tuple[int, int], prob: float) -> None:
        super().__init__(prob)
        check_range(f"{type(self).__name__}: quality", quality, minimum=1, maximum=100)
        self.quality = quality

    def draw_quality(self, rng: np.random.Generator) -> int:
        """Return one of the qualities."""
        low, high = self.quality
        return int(rng.integers(low, high + 1))


def through_file(image: np.ndarray, suffix: str, options: list[int]) -> np.ndarray:
    """Return the picture, rounded, after it was written as a file of the kind `suffix` (in memory) and read again.

    Raises:
        DataError: the format cannot hold a picture of this size.
    """
    bgr = cv2.cvtColor(to_uint8(image), cv2.COLOR_RGB2BGR)
    try:
        encoded, data = cv2.imencode(suffix, bgr, options)
    except cv2.error:
        encoded = False
    if not encoded:
        height, width = image.shape[:2]
        raise DataError(f"a picture of {width} x {height} pixels cannot be written as {suffix}; make it smaller")
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None  # it was encoded a few lines above
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
