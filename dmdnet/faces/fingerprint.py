"""A 64-bit number that two files of one picture share (nearly), and two pictures do not.

It is the perceptual hash of common use (signs of the lowest cosine coefficients of a small grey picture) but for one
thing: a coefficient is compared with its median over faces, not with zero. Aligned faces are alike, and against zero
most of them would agree in many bits.

Measured at 128 to 512 pixels, in bits: on 17 real and 90 drawn faces, JPEG at quality 30, halving, quartering, a blur,
and noise of deviation 10 change at most 5, a margin of 2% cut off at most 10, 15% more brightness at most 11. One
photograph stored in several sizes and cut differently before alignment: at most 7 (the real ones hold seven such
pairs). Two different pictures, of one person or of two: at least 10, in the median 30 (4,000 pairs).
"""

from __future__ import annotations

import cv2
import numpy as np

SAME_PICTURE = 8
"""Fingerprints that differ in no more bits belong to one picture."""

_SIDE = 32
# the 64 coefficients (row, column) after the mean, from low to high
_COEFFICIENTS = tuple(
    np.array(sorted(np.ndindex(12, 12), key=lambda place: (sum(place), place))[1:65], dtype=np.intp).T
)
# their medians over 60 drawn faces (dmdnet.data.demo_faces, seed 7, people 1..60, one picture each, 128 pixels)
_MEDIANS = np.array([
    -1.33, -0.11, -3.91, 0.28, -3.36, 2.86, -1.01, 0.24, 0.72, 4.86, -0.09, 4.5,
    -0.09, -1.56, 0.31, 1.17, -0.17, 1.92, 0.1, -0.77, 2.06, 0.11, -0.37, 0,
    1.52, 0, 0.11, -0.03, -1.29, -0.04, -3.46, 0.05, 0.04, 0.02, 2.47, -0.38,
    0.17, -2.13, 0.09, -0.38, -0.06, 0.63, -0.05, -0.32, 0.02, 0.08, 0.14, 0.87,
    -0.01, 0.11, 0.03, -2.51, 0.01, -1.34, -1.12, -0.1, -0.8, 0.1, -1.56, -0.09,
    -0.96, 0.08, 0.3, 0.03,
])  # fmt: skip


def fingerprint(rgb: np.ndarray) -> int:
    """Return the perceptual hash of an aligned face, uint8 RGB (H, W, 3) of any size: 1 .. 2^64 - 1.

    Re-encoding, resizing and small changes of framing leave it nearly as it is; compare with `hamming`. It is no
    identity: another picture of the same person is another picture. 0 is never returned; tables use it for "unknown".
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    small = (small - small.mean()) / max(float(small.std()), 1.0)
    bits = cv2.dct(small)[_COEFFICIENTS] > _MEDIANS
    return int.from_bytes(np.packbits(bits).tobytes(), "big") or 1


def hamming(one: int, other: int) -> int:
    """Return in how many of their 64 bits two fingerprints differ."""
    return (int(one) ^ int(other)).bit_count()
