"""TensorBoard: scalars by group, and grids of pictures.

Shape suffixes: B batch, R references, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch
from dmdnet.images import to_uint8

GRID_FACES = 4
_GRID_REFERENCES = 3


class Board:
    """Writes nothing; the base of the real one."""

    shown = False  # whether what is written can be seen: pictures are not made for nobody

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Write numbers; a name may have a group before a slash."""

    def picture(self, name: str, image_CHW: Tensor, iteration: int) -> None:
        """Write one uint8 RGB picture."""

    def close(self) -> None:
        """Flush and close."""


class TensorBoard(Board):
    """Writes events into `folder`; what an interrupted run wrote after `iteration` is hidden."""

    shown = True

    def __init__(self, folder: Path, iteration: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only wanted here

        self._writer: Any = SummaryWriter(str(folder), purge_step=iteration + 1)

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def picture(self, name: str, image_CHW: Tensor, iteration: int) -> None:
        self._writer.add_image(name, image_CHW, iteration)

    def close(self) -> None:
        self._writer.close()


def open_board(folder: Path, iteration: int, wanted: bool) -> Board:
    """Return TensorBoard where it is wanted, else one that writes nothing."""
    return TensorBoard(folder, iteration) if wanted else Board()


def first_faces(batch: FaceBatch, count: int = GRID_FACES) -> FaceBatch:
    """Return the first faces of a batch, degraded where that was still pending."""
    return batch.rows(slice(count)).degraded()


def picture_grid(batch: FaceBatch, restored: Mapping[str, Tensor]) -> Tensor:
    """Return one row per face: degraded, each restored picture, target, references; uint8 (3, H', W').

    Args:
        batch: the faces, on any device.
        restored: name -> float RGB [-1, 1] (B, 3, H, W).
    """
    columns = [batch.lq_BCHW, *(to_uint8(picture) for picture in restored.values())]
    if batch.gt_BCHW is not None:
        columns.append(batch.gt_BCHW)
    if batch.references is not None:
        images_BRCHW = batch.references.images_BRCHW[:, :_GRID_REFERENCES].cpu()
        shown_BR = batch.references.mask_BR[:, :_GRID_REFERENCES, None, None, None].cpu()
        columns += list((images_BRCHW * shown_BR).unbind(dim=1))
    rows_BCHW = torch.cat([column.cpu() for column in columns], dim=-1)
    return torch.cat(list(rows_BCHW), dim=-2)
