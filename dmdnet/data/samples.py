"""One sample, and many as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch, References


@dataclass(frozen=True)
class FaceStack:
    """Several faces of one size: images uint8 (R, 3, S, S), boxes int32 (R, 4, 4), names; R may be 0."""

    images: Tensor
    boxes: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class FaceSample:
    """One draw of a data set. Pictures are uint8 RGB (3, S, S), boxes int32 (4, 4).

    `references` is None for a set without references; a set with references gives an empty stack where this sample
    has none. `gt` is None for a set without ground truth.
    """

    lq: Tensor
    lq_boxes: Tensor
    name: str
    identity: str
    gt: Tensor | None = None
    gt_boxes: Tensor | None = None
    references: FaceStack | None = None
    wrong_references: FaceStack | None = None


def collate(samples: Sequence[FaceSample]) -> FaceBatch:
    """Return the batch of some samples; rows of references are padded with zeros to the longest, at least one."""
    return FaceBatch(
        lq_BCHW=torch.stack([sample.lq for sample in samples]),
        lq_boxes_B44=torch.stack([sample.lq_boxes for sample in samples]),
        names=tuple(sample.name for sample in samples),
        identities=tuple(sample.identity for sample in samples),
        gt_BCHW=_all_or_none([sample.gt for sample in samples]),
        gt_boxes_B44=_all_or_none([sample.gt_boxes for sample in samples]),
        references=_pad([sample.references for sample in samples], samples[0].lq),
        wrong_references=_pad([sample.wrong_references for sample in samples], samples[0].lq),
    )


def _all_or_none(tensors: Sequence[Tensor | None]) -> Tensor | None:
    """Stack the tensors, or None when a sample lacks its own: a batch has ground truth as a whole or not at all."""
    present = [tensor for tensor in tensors if tensor is not None]
    return torch.stack(present) if len(present) == len(tensors) else None


def _pad(stacks: Sequence[FaceStack | None], image: Tensor) -> References | None:
    if all(stack is None for stack in stacks):
        return None
    rows = max(1, *(0 if stack is None else len(stack) for stack in stacks))
    images = torch.zeros(len(stacks), rows, *image.shape, dtype=torch.uint8)
    boxes = torch.zeros(len(stacks), rows, 4, 4, dtype=torch.int32)
    mask = torch.zeros(len(stacks), rows, dtype=torch.bool)
    for row, stack in enumerate(stacks):
        if stack is not None:
            images[row, : len(stack)] = stack.images
            boxes[row, : len(stack)] = stack.boxes
            mask[row, : len(stack)] = True
    return References(images, boxes, mask)
