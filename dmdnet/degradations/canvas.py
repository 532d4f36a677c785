"""Many pictures of different sizes as one tensor, for degrading a batch on the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dmdnet.errors import DataError


@dataclass(frozen=True)
class Canvas:
    """A batch of pictures that may differ in size; each lies in the upper left corner of its row.

    Args:
        pixels_BCHW: float32 RGB, whole numbers 0..255 (what a uint8 picture between two operations would hold); what
            lies outside a picture's size is undefined and is not to be read.
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

    def to_uint8(self) -> Tensor:
        """Return the pictures as uint8 (B, 3, H, W).

        Raises:
            DataError: they are not all of one size.
        """
        if len(set(self.sizes)) != 1:
            raise DataError(f"pictures of {len(set(self.sizes))} sizes cannot be one batch; end with ResizeBack")
        height, width = self.sizes[0]
        return self.pixels_BCHW[..., :height, :width].round().clamp(0, 255).to(torch.uint8)
