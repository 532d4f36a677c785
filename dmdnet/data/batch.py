"""One training or test batch, as every model receives it.

Shape suffixes: B batch, R references (padded), C channels, H W pixels, 4 boxes x 4 corners.
Pictures are uint8 RGB until they reach the device; boxes are int32 x0 y0 x1 y1 in pixels of the network's
input, in the order left eye, right eye, nose, mouth.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch

_B = TypeVar("_B", bound="_TensorFields")


class _TensorFields:
    """Moves the tensors of a dataclass; everything else is kept."""

    def _map(self: _B, function) -> _B:  # type: ignore[no-untyped-def]
        changed = {}
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, torch.Tensor):
                changed[item.name] = function(value)
            elif isinstance(value, _TensorFields):
                changed[item.name] = value._map(function)
        return replace(self, **changed)  # type: ignore[type-var]

    def to(self: _B, device: torch.device | str, non_blocking: bool = False) -> _B:
        """Return the same with its tensors on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self: _B) -> _B:
        """Return the same in page-locked memory (called by torch's DataLoader)."""
        return self._map(torch.Tensor.pin_memory)


@dataclass(frozen=True)
class References(_TensorFields):
    """Reference pictures of each person, padded to the longest row; `mask_BR` is True where there is one."""

    images_BRCHW: torch.Tensor  # uint8
    boxes_BR44: torch.Tensor  # int32
    mask_BR: torch.Tensor  # bool


@dataclass(frozen=True)
class FaceBatch(_TensorFields):
    """Degraded faces with their targets, boxes and references.

    `lq_boxes_B44` belong to the degraded picture (jittered in training); `gt_boxes_B44` are exact.
    `references` are what training uses (at least one padded row; a row of False where a sample has none);
    `wrong_references` are another person's, filled where the data set was asked for them.
    `gt_BCHW` and `gt_boxes_B44` are None for sets without ground truth.
    """

    lq_BCHW: torch.Tensor
    lq_boxes_B44: torch.Tensor
    names: tuple[str, ...]
    identities: tuple[str, ...]
    gt_BCHW: torch.Tensor | None = None
    gt_boxes_B44: torch.Tensor | None = None
    references: References | None = None
    wrong_references: References | None = None

    def __len__(self) -> int:
        return len(self.names)

    def row(self, index: int) -> FaceBatch:
        """Return a batch of one: the picture at `index` with its references."""
        return self.rows(slice(index, index + 1))

    def rows(self, chosen: slice) -> FaceBatch:
        """Return a smaller batch: the pictures in the slice with their references."""
        rows = self._map(lambda tensor: tensor[chosen])
        return replace(rows, names=self.names[chosen], identities=self.identities[chosen])
