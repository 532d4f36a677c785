"""The numbers of baseline JPEG as libjpeg has them."""

from __future__ import annotations

from functools import cache

import numpy as np

# ITU-T T.81, annex K.1: steps of luma and chroma at quality 50, rows of rising vertical frequency
LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)

# JFIF: luma and the two colour differences from red, green, blue, and the way back, in 2^-16
WEIGHT_BITS = 16
FROM_RGB = ((19595, 38470, 7471), (-11059, -21709, 32768), (32768, -27439, -5329))
TO_RGB = ((65536, 0, 91881), (65536, -22554, -46802), (65536, 116130, 0))

# sqrt(2) cos((2 x + 1) u pi / 16), u down, x along, in 2^-13. The sums of products of the fast algorithm with its
# 13-bit factors: some differ by one from the rounded cosine.
COSINE_BITS = 13
_EVEN = (
    (8192, 8192, 8192, 8192),
    (10703, 4433, -4433, -10703),
    (8192, -8192, -8192, 8192),
    (4433, -10704, 10704, -4433),
)
_ODD = (
    (11363, 9633, 6437, 2260),
    (9633, -2259, -11362, -6436),
    (6437, -11362, 2261, 9633),
    (2260, -6436, 9633, -11363),
)
COSINES = tuple(
    row + row[::-1] if sign > 0 else row + tuple(-value for value in row[::-1])
    for even, odd in zip(_EVEN, _ODD, strict=True)
    for row, sign in ((even, 1), (odd, -1))
)


@cache
def quantisation_tables(quality: int) -> np.ndarray:
    """Return libjpeg's baseline steps for a quality 1..100: integers (2, 8, 8), luma and chroma."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.array([LUMA_STEPS, CHROMA_STEPS]) * percent + 50) // 100, 1, 255)
