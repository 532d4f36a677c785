"""A picture through a file format and back, in memory."""

from __future__ import annotations

import cv2
import numpy as np

from dmdnet.degradations.base import to_uint8
from dmdnet.errors import DataError


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
