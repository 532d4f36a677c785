"""Many pictures of different sizes as one tensor, for degrading a batch on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dmdnet.errors import DataError
from dmdnet.ops.degrade.to_device import to_device

# pictures whose longer side is at most this share of the canvas go to a canvas of their own ...
_CLASSES = (0.25, 0.5)
# ... when it saves as many pixels: an operation's launches then cost less than what they would read and write
_WORTH_A_CANVAS = 1 << 20


@dataclass(frozen=True)
class Canvas:
    """A batch of pictures that may differ in size; each lies in the upper left corner of its row.

    Args:
        pixels_BCHW: float32 RGB, grey levels 0..255, whole numbers where a uint8 picture would be between two
            operations; what lies outside a picture's size is finite, but undefined.
        sizes: (height, width) of each picture, on the host: operations know all shapes without asking the device.
    """

    pixels_BCHW: Tensor
    sizes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, images_BCHW: Tensor) -> Canvas:
        """Return the canvas of uint8 pictures (B, 3, H, W) of one size.

        Raises:
            DataError: another type or shape.
        """
        if images_BCHW.dtype != torch.uint8 or images_BCHW.ndim != 4 or images_BCHW.shape[1] != 3:
            raise DataError(f"pictures to degrade are uint8 (B, 3, H, W), got {images_BCHW.dtype} {images_BCHW.shape}")
        height, width = images_BCHW.shape[2:]
        return cls(images_BCHW.float(), ((height, width),) * len(images_BCHW))

    def with_pixels(self, pixels_BCHW: Tensor) -> Canvas:
        """Return a canvas of other pixels; the sizes stay."""
        return Canvas(pixels_BCHW, self.sizes)

    def select(self, rows: Sequence[int]) -> Canvas:
        """Return the canvas of some of the pictures, no larger than they need it."""
        sizes = tuple(self.sizes[row] for row in rows)
        height, width = largest(sizes)
        index = to_device(np.array(rows, np.int64), self.pixels_BCHW.device)
        return Canvas(self.pixels_BCHW[..., :height, :width].index_select(0, index), sizes)

    def by_size(self) -> list[tuple[Sequence[int], Canvas]]:
        """Return canvases of pictures of similar sizes and the rows of each: one when more would not save enough."""
        if len(set(self.sizes)) == 1:
            return [(range(len(self.sizes)), self)]
        sizes, canvas = np.array(self.sizes), np.array(self.pixels_BCHW.shape[2:])
        classes = np.searchsorted(_CLASSES, (sizes / canvas).max(1))
        parts = [np.flatnonzero(classes == which) for which in np.unique(classes)]
        saved = len(sizes) * canvas.prod() - sum(sizes[rows].max(0).prod() * len(rows) for rows in parts)
        if len(parts) == 1 or saved < _WORTH_A_CANVAS * (len(parts) - 1):
            return [(range(len(sizes)), self)]
        return [(rows.tolist(), self.select(rows.tolist())) for rows in parts]

    @classmethod
    def joined(cls, parts: Sequence[tuple[Sequence[int], Canvas]]) -> Canvas:
        """Return the canvas of all pictures in the order of their rows."""
        if len(parts) == 1:
            return parts[0][1]
        sizes = dict(pair for rows, part in parts for pair in zip(rows, part.sizes, strict=True))
        whole = parts[0][1].pixels_BCHW.new_zeros(len(sizes), 3, *largest(list(sizes.values())))
        for rows, part in parts:
            _write(whole, rows, part)
        return cls(whole, tuple(sizes[row] for row in range(len(sizes))))

    def replace(self, rows: Sequence[int], pictures: Canvas) -> Canvas:
        """Return a canvas with `pictures` in the place of its `rows`, grown where they are larger."""
        sizes = list(self.sizes)
        for row, size in zip(rows, pictures.sizes, strict=True):
            sizes[row] = size
        height, width = largest(sizes)
        pixels_BCHW = self.pixels_BCHW.new_zeros(len(sizes), 3, height, width)
        _corner(pixels_BCHW, self.pixels_BCHW).copy_(_corner(self.pixels_BCHW, pixels_BCHW))
        _write(pixels_BCHW, rows, pictures)
        return Canvas(pixels_BCHW, tuple(sizes))

    def to_uint8(self) -> Tensor:
        """Return the pictures as uint8 (B, 3, H, W).

        Raises:
            DataError: they are not all of one size.
        """
        if len(set(self.sizes)) != 1:
            raise DataError(f"pictures of {len(set(self.sizes))} sizes cannot be one batch; end with ResizeBack")
        height, width = self.sizes[0]
        return self.pixels_BCHW[..., :height, :width].round().clamp(0, 255).to(torch.uint8)


def largest(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the height and width that hold pictures of all `sizes`."""
    return max(height for height, _ in sizes), max(width for _, width in sizes)


def _write(pixels_BCHW: Tensor, rows: Sequence[int], pictures: Canvas) -> None:
    index = to_device(np.array(rows, np.int64), pixels_BCHW.device)
    target = _corner(pixels_BCHW, pictures.pixels_BCHW)
    target.index_copy_(0, index, _corner(pictures.pixels_BCHW, pixels_BCHW))


def _corner(pixels_BCHW: Tensor, other_BCHW: Tensor) -> Tensor:
    """Return the view of the part that both canvases have."""
    return pixels_BCHW[..., : other_BCHW.shape[2], : other_BCHW.shape[3]]
