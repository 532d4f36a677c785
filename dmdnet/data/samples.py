"""One sample, and many as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch, PendingDegradation, References
from dmdnet.data.faults import Fault, UnusableSample
from dmdnet.degradations.base import Degradation
from dmdnet.degradations.pipeline import Draws
from dmdnet.faces.landmarks import NUM_LANDMARKS

T = TypeVar("T")


@dataclass(frozen=True)
class FaceStack:
    """Several faces of one size: images uint8 (R, 3, S, S), boxes int32 (R, 4, 4), names; R may be 0.

    `landmarks` are float32 (R, 68, 2), NaN where none were found; None where nobody has them.
    """

    images: Tensor
    boxes: Tensor
    names: tuple[str, ...]
    landmarks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class FaceSample:
    """One draw of a data set. Pictures are uint8 RGB (3, S, S), boxes int32 (4, 4), landmarks float32 (68, 2), NaN
    where none were found.

    `references` is None for a set without references; a set with references gives an empty stack where this sample
    has none. `gt` is None for a set without ground truth. `lq` is None where the degraded picture is still to be made
    on the device: `pending` then has the operations and the parameters that make it from `gt`. `skipped` names the
    pictures that could not be used and that others stand in for; in tests, references that are left out. `fault` says
    in tests why a face has no landmarks; its boxes are empty then.
    """

    lq: Tensor | None
    lq_boxes: Tensor
    name: str
    identity: str
    gt: Tensor | None = None
    gt_boxes: Tensor | None = None
    references: FaceStack | None = None
    wrong_references: FaceStack | None = None
    pending: tuple[tuple[Degradation, ...], Draws] | None = None
    skipped: tuple[str, ...] = ()
    lq_landmarks: Tensor | None = None
    gt_landmarks: Tensor | None = None
    fault: Fault | None = None

    @property
    def shape(self) -> torch.Size:
        """Shape of the sample's pictures, (3, S, S)."""
        picture = self.gt if self.lq is None else self.lq
        if picture is None:
            raise ValueError(f"{self.name}: a sample has a degraded picture or a target")
        return picture.shape


def collate(samples: Sequence[FaceSample]) -> FaceBatch:
    """Return the batch of some samples; rows of references are padded with zeros to the longest, at least one."""
    shape = samples[0].shape
    return FaceBatch(
        lq_BCHW=_degraded(samples, shape),
        lq_boxes_B44=torch.stack([sample.lq_boxes for sample in samples]),
        names=tuple(sample.name for sample in samples),
        identities=tuple(sample.identity for sample in samples),
        gt_BCHW=_all_or_none([sample.gt for sample in samples]),
        gt_boxes_B44=_all_or_none([sample.gt_boxes for sample in samples]),
        references=_pad([sample.references for sample in samples], shape),
        wrong_references=_pad([sample.wrong_references for sample in samples], shape),
        pending=_pending(samples),
        skipped=tuple(message for sample in samples for message in sample.skipped),
        lq_landmarks_B682=_all_or_none([sample.lq_landmarks for sample in samples]),
        gt_landmarks_B682=_all_or_none([sample.gt_landmarks for sample in samples]),
        faults=_any_or_nothing([sample.fault for sample in samples]),
        left_out=_any_or_nothing(["; ".join(sample.skipped) for sample in samples]),
    )


def collate_test(samples: Sequence[FaceSample | UnusableSample], image_size: int) -> FaceBatch:
    """Return the batch of those samples that could be loaded, perhaps of none, with the others beside it."""
    whole = [sample for sample in samples if isinstance(sample, FaceSample)]
    unusable = tuple(sample for sample in samples if isinstance(sample, UnusableSample))
    return replace(collate(whole) if whole else _empty(image_size), unusable=unusable)


def _empty(size: int) -> FaceBatch:
    return FaceBatch(
        lq_BCHW=torch.empty(0, 3, size, size, dtype=torch.uint8),
        lq_boxes_B44=torch.empty(0, 4, 4, dtype=torch.int32),
        names=(),
        identities=(),
    )


def _any_or_nothing(items: Sequence[T]) -> tuple[T, ...]:
    return tuple(items) if any(items) else ()


def _degraded(samples: Sequence[FaceSample], shape: torch.Size) -> Tensor:
    """Stack the degraded pictures; what is pending is black, or has no pixels when everything is."""
    present = [sample.lq for sample in samples if sample.lq is not None]
    if len(present) == len(samples):
        return torch.stack(present)
    if not present:
        return torch.empty(len(samples), shape[0], 0, 0, dtype=torch.uint8)
    black = torch.zeros_like(present[0])
    return torch.stack([black if sample.lq is None else sample.lq for sample in samples])


def _pending(samples: Sequence[FaceSample]) -> tuple[PendingDegradation, ...]:
    """Group what is pending by its operations: the sets of a mixture have their own."""
    groups: dict[int, list[tuple[int, tuple[tuple[Degradation, ...], Draws]]]] = {}
    for row, sample in enumerate(samples):
        if sample.pending is not None:
            groups.setdefault(id(sample.pending[0]), []).append((row, sample.pending))
    return tuple(
        PendingDegradation(group[0][1][0], tuple(row for row, _ in group), tuple(draws for _, (_, draws) in group))
        for group in groups.values()
    )


def _all_or_none(tensors: Sequence[Tensor | None]) -> Tensor | None:
    """Stack the tensors, or None when a sample lacks its own: a batch has ground truth as a whole or not at all."""
    present = [tensor for tensor in tensors if tensor is not None]
    return torch.stack(present) if len(present) == len(tensors) else None


def _pad(stacks: Sequence[FaceStack | None], shape: torch.Size) -> References | None:
    if all(stack is None for stack in stacks):
        return None
    rows = max(1, *(0 if stack is None else len(stack) for stack in stacks))
    images = torch.zeros(len(stacks), rows, *shape, dtype=torch.uint8)
    boxes = torch.zeros(len(stacks), rows, 4, 4, dtype=torch.int32)
    landmarks = torch.full((len(stacks), rows, NUM_LANDMARKS, 2), torch.nan)
    mask = torch.zeros(len(stacks), rows, dtype=torch.bool)
    for row, stack in enumerate(stacks):
        if stack is not None:
            images[row, : len(stack)] = stack.images
            boxes[row, : len(stack)] = stack.boxes
            mask[row, : len(stack)] = True
            if stack.landmarks is not None:
                landmarks[row, : len(stack)] = stack.landmarks
    return References(images, boxes, mask, landmarks)
