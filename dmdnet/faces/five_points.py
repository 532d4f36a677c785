"""The five points by which face recognisers are aligned: eyes, tip of the nose, corners of the mouth."""

from __future__ import annotations

import numpy as np

from dmdnet.faces.landmarks import LEFT_EYE, LEFT_MOUTH_CORNER, NUM_LANDMARKS, RIGHT_EYE, RIGHT_MOUTH_CORNER

NOSE_TIP = 30
CHIP_SIDE = 112
# Where they lie in ArcFace's 112-pixel pictures (insightface); pixels are counted from their centres
CHIP_POINTS_5 = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
CHIP_POINTS_5.setflags(write=False)


def _weights() -> np.ndarray:
    weights = np.zeros((5, NUM_LANDMARKS))
    weights[0, LEFT_EYE], weights[1, RIGHT_EYE] = 1 / 6, 1 / 6
    weights[[2, 3, 4], [NOSE_TIP, LEFT_MOUTH_CORNER, RIGHT_MOUTH_CORNER]] = 1.0
    weights.setflags(write=False)
    return weights


FIVE_OF_68 = _weights()
"""(5, 68): `FIVE_OF_68 @ landmarks` are the five points of landmarks (..., 68, 2)."""
