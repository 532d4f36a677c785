"""Grids of pictures, to see what a network does.

Shape suffixes: B batch, R references, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch
from dmdnet.images import to_uint8

GRID_FACES = 4
_GRID_REFERENCES = 3


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
