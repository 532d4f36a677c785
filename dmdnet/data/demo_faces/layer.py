"""The canvas of the frontal face plane on which the parts are painted before light and pose are applied."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .paint import FloatArray, Frame
from .relief import HIGH, LOW


@dataclass(frozen=True)
class Layer:
    """Colour (H, W, 3) and opacity (H, W) float32 in [0, 1] on `frame`; `gloss` (H, W) scales the highlights."""

    frame: Frame
    colour: FloatArray
    alpha: FloatArray
    gloss: FloatArray

    @staticmethod
    def blank(scale: float, low: FloatArray, high: FloatArray) -> Layer:
        """Return an empty layer from corner `low` (2,) to `high` (2,) of the plane, `scale` pixels a unit."""
        x0, y0 = np.clip(low, LOW, HIGH - 0.01)
        x1, y1 = np.clip(high, LOW + 0.01, HIGH)
        frame = Frame.covering(float(x0), float(y0), float(x1), float(y1), scale)
        shape = (frame.height, frame.width)
        return Layer(frame, np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32), np.ones(shape, np.float32))

    def part(self, frame: Frame) -> FloatArray:
        """Return the colours that `frame` covers, a view."""
        return self.frame.cut(self.colour, frame)

    def spread(self, grid: FloatArray) -> FloatArray:
        """Return a map of the relief's grid at this layer's pixels."""
        return spread(grid, self.frame)


def spread(grid: FloatArray, frame: Frame) -> FloatArray:
    """Return a map (CELLS, CELLS[, C]) of the relief's grid at the pixels of `frame`."""
    cells = grid.shape[0] / (HIGH - LOW)
    step = cells / frame.scale
    x0 = ((frame.left + 0.5) / frame.scale - LOW) * cells - 0.5
    y0 = ((frame.top + 0.5) / frame.scale - LOW) * cells - 0.5
    matrix = np.array([[step, 0.0, x0], [0.0, step, y0]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (frame.width, frame.height)
    return cv2.warpAffine(grid.astype(np.float32), matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
