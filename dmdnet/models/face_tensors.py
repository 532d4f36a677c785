"""A batch as the network takes it: float pictures on the device.

Shape suffixes: B batch, R references, C channels, H W pixels, 4 boxes x 4 corners.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch, References
from dmdnet.errors import DataError
from dmdnet.images import to_float
from dmdnet.models.memory_format import pictures_channels_last


@dataclass(frozen=True)
class FaceTensors:
    """A training batch on the device: pictures float [-1, 1], boxes int32. The bool mask stays on the host, where the
    network can read it for nothing and skip the padding."""

    lq_BCHW: Tensor
    lq_boxes_B44: Tensor
    gt_BCHW: Tensor
    gt_boxes_B44: Tensor
    refs_BRCHW: Tensor
    ref_boxes_BR44: Tensor
    mask_BR: Tensor


def face_tensors(batch: FaceBatch, device: torch.device, channels_last: bool = False) -> FaceTensors:
    """Move a training batch to the device as uint8, degrade there what is still pending, and only then make it float.

    A batch without references gets one empty row, so that every training step has the same graph.

    Raises:
        DataError: the batch has no targets.
    """
    mask_BR = None if batch.references is None else batch.references.mask_BR.cpu()
    batch = batch.to(device, non_blocking=True).degraded()
    if batch.gt_BCHW is None or batch.gt_boxes_B44 is None:
        raise DataError(f"the training data have no sharp targets ({', '.join(batch.names)}); give dataroot_gt")
    references = batch.references or _no_references(batch)
    arrange = pictures_channels_last if channels_last else _as_it_is
    return FaceTensors(
        lq_BCHW=arrange(to_float(batch.lq_BCHW)),
        lq_boxes_B44=batch.lq_boxes_B44,
        gt_BCHW=arrange(to_float(batch.gt_BCHW)),
        gt_boxes_B44=batch.gt_boxes_B44,
        refs_BRCHW=arrange(to_float(references.images_BRCHW)),
        ref_boxes_BR44=references.boxes_BR44,
        mask_BR=torch.zeros(len(batch), 1, dtype=torch.bool) if mask_BR is None else mask_BR,
    )


def _as_it_is(images: Tensor) -> Tensor:
    return images


def _no_references(batch: FaceBatch) -> References:
    return References(
        images_BRCHW=torch.zeros_like(batch.lq_BCHW)[:, None],
        boxes_BR44=batch.lq_boxes_B44[:, None],
        mask_BR=torch.zeros(len(batch), 1, dtype=torch.bool, device=batch.lq_BCHW.device),
    )
