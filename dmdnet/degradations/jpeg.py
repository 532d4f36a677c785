"""JPEG compression, by the encoder and decoder that make real files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dmdnet.degradations.base import Probability
from dmdnet.degradations.canvas import Canvas
from dmdnet.degradations.codec import Compression, through_file
from dmdnet.ops.degrade.jpeg import jpeg
from dmdnet.registry import DEGRADATIONS


@dataclass(frozen=True)
class JPEGDraw:
    """The quality 1..100 that libjpeg is given."""

    quality: int


@DEGRADATIONS.register()
class JPEGCompression(Compression[JPEGDraw]):
    """Compress to JPEG (4:2:0) with a whole quality uniform in `quality`, both ends included, and read it back."""

    def __init__(self, *, quality: tuple[int, int], prob: Probability = 1.0) -> None:
        super().__init__(quality, prob)

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> JPEGDraw:
        """Return the quality."""
        return JPEGDraw(self.draw_quality(rng))

    def apply(self, image: np.ndarray, params: JPEGDraw) -> np.ndarray:
        """Return the picture after compression.

        Raises:
            DataError: a side is longer than JPEG's 65,500 pixels.
        """
        return through_file(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, params.quality])

    def apply_batch(self, canvas: Canvas, params_B: Sequence[JPEGDraw]) -> Canvas:
        """Return the canvas after compression, to the last bit but for one value in ten thousand."""
        return canvas.with_pixels(jpeg(canvas.pixels_BCHW, canvas.sizes, [params.quality for params in params_B]))
