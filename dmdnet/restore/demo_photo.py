"""A real photograph for the demonstration: scikit-image's astronaut, degraded by rule.

The picture is NASA's and in the public domain; it ships inside scikit-image, so nothing is downloaded.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from dmdnet.errors import DataError
from dmdnet.images import decode_image, write_image


def demo_photograph() -> np.ndarray:
    """Return the sharp photograph, uint8 RGB (512, 512, 3): one face, its aligned square 172 px wide."""
    return np.ascontiguousarray(skimage.data.astronaut())


def degrade(
    rgb: np.ndarray, *, sigma: float = 1.2, factor: float = 3.0, noise: float = 4.0, quality: int = 60, seed: int = 0
) -> np.ndarray:
    """Return uint8 RGB after blur - down - noise - JPEG - up.

    Args:
        sigma: of the Gaussian blur, in pixels. factor: of the reduction, at least 1.
        noise: standard deviation on the 0..255 scale. quality: of the JPEG. seed: of the noise.
    """
    height, width = rgb.shape[:2]
    small_size = (max(round(width / factor), 1), max(round(height / factor), 1))
    small = cv2.resize(cv2.GaussianBlur(rgb, (0, 0), sigma), small_size, interpolation=cv2.INTER_AREA)
    draws = np.random.Generator(np.random.Philox(seed)).standard_normal(small.shape, dtype=np.float32)
    small = np.clip(np.rint(small + noise * draws), 0, 255).astype(np.uint8)
    encoded, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not encoded:
        raise DataError(f"{width} x {height} pixels cannot be written as JPEG")
    return cv2.resize(decode_image(data.tobytes()), (width, height), interpolation=cv2.INTER_CUBIC)


def write_demo_photograph(path: str | os.PathLike[str]) -> Path:
    """Write the degraded photograph to `path`.

    Raises:
        DataError: `path` cannot be written.
    """
    return write_image(path, degrade(demo_photograph()))
