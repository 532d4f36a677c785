"""One picture that shows what went in and what came out."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_GAP = 4
_REFERENCES_PER_ROW = 4


def face_sheet(degraded: np.ndarray, restored: np.ndarray, references: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Return degraded and restored face side by side, the references at half their size below, on white.

    All are uint8 RGB (size, size, 3).
    """
    size = degraded.shape[0]
    small = size // 2
    rows = -(-len(references) // _REFERENCES_PER_ROW)
    sheet = np.full((size + rows * (small + _GAP), 2 * size + _GAP, 3), 255, np.uint8)
    sheet[:size, :size] = degraded
    sheet[:size, size + _GAP :] = restored
    for index, reference in enumerate(references):
        row, column = divmod(index, _REFERENCES_PER_ROW)
        y, x = size + _GAP + row * (small + _GAP), column * (small + 1)
        sheet[y : y + small, x : x + small] = cv2.resize(reference, (small, small), interpolation=cv2.INTER_AREA)
    return sheet
