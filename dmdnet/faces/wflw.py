"""From WFLW's 98 landmarks to the usual 68 (iBUG order).

WFLW (Wu et al., "Look at Boundary", CVPR 2018): 0..32 jaw, 33..41 and 42..50 brows (an outline each, upper edge
first), 51..54 bridge and 55..59 base of the nose, 60..67 and 68..75 eyes (eight points round each), 76..87 outer and
88..95 inner lips, 96, 97 pupils. Left is the left of the picture in both. The mapping is the one in common use: every
second point of the jaw, the middle line of a brow, six of the eight points of an eye.
"""

from __future__ import annotations

import numpy as np

from dmdnet.errors import DataError

NUM_WFLW = 98


def _pairs() -> np.ndarray:
    """Return for each of the 68 points the two WFLW points whose middle it is, (68, 2)."""
    pairs = [(point, point) for point in range(0, 33, 2)]
    pairs += [(33, 33), (34, 41), (35, 40), (36, 39), (37, 38)]
    pairs += [(42, 50), (43, 49), (44, 48), (45, 47), (46, 46)]
    pairs += [(point, point) for point in range(51, 60)]
    pairs += [(first + step, first + step) for first in (60, 68) for step in (0, 1, 3, 4, 5, 7)]
    pairs += [(point, point) for point in range(76, 96)]
    return np.array(pairs)


_PAIRS = _pairs()


def wflw_to_68(points: np.ndarray) -> np.ndarray:
    """Return landmarks (68, 2) float64 from WFLW's (98, 2).

    Raises:
        DataError: another shape.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.shape != (NUM_WFLW, 2):
        raise DataError(f"WFLW landmarks have shape {points.shape}, ({NUM_WFLW}, 2) is needed")
    return points[_PAIRS].mean(axis=1)
