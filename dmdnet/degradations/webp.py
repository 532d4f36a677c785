"""WebP compression, by the encoder and decoder that make real files."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dmdnet.degradations.base import Probability
from dmdnet.degradations.codec import Compression, through_file
from dmdnet.registry import DEGRADATIONS


@dataclass(frozen=True)
class WebPDraw:
    """The quality 1..100 that libwebp is given."""

    quality: int


@DEGRADATIONS.register()
class WebPCompression(Compression[WebPDraw]):
    """Compress to lossy WebP with a whole quality uniform in `quality`, both ends included, and read it back.

    It has no form for a batch on the device: its prediction of blocks from their neighbours goes on one by one. A batch
    waits for the host here; take JPEGCompression where that is too slow. The encoder's choices build on each other: a
    value that an operation before it has rounded otherwise on the device may change the whole picture (by more than a
    level, in one of some thousand pictures).
    """

    def __init__(self, *, quality: tuple[int, int], prob: Probability = 1.0) -> None:
        super().__init__(quality, prob)

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> WebPDraw:
        """Return the quality."""
        return WebPDraw(self.draw_quality(rng))

    def apply(self, image: np.ndarray, params: WebPDraw) -> np.ndarray:
        """Return the picture after compression.

        Raises:
            DataError: a side is longer than WebP's 16,383 pixels.
        """
        return through_file(image, ".webp", [cv2.IMWRITE_WEBP_QUALITY, params.quality])
