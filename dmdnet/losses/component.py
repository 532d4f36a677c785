"""L1 inside the eyes and the mouth, where the dictionaries act."""

from __future__ import annotations

import torch
from torch import Tensor

from dmdnet.faces.boxes import USED_COMPONENTS
from dmdnet.losses.base import Loss, LossInput, float32
from dmdnet.registry import LOSSES


def box_masks(boxes_BK4: Tensor, height: int, width: int) -> Tensor:
    """Return which pixels lie inside each box: (B, K, H, W) bool. Boxes are x0 y0 x1 y1, the far side excluded."""
    x0, y0, x1, y1 = (corner[..., None, None] for corner in boxes_BK4.unbind(-1))
    rows = torch.arange(height, device=boxes_BK4.device)[:, None]
    columns = torch.arange(width, device=boxes_BK4.device)[None, :]
    return (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)


def component_l1(pred_BCHW: Tensor, target_BCHW: Tensor, boxes_B44: Tensor) -> Tensor:
    """Return the mean over eyes and mouth of the mean |pred - target| inside the box, (B,) float32.

    Each component counts the same, whatever its size; an empty box counts 0.
    """
    pred, target = float32(pred_BCHW, target_BCHW)
    difference_BHW = (pred - target).abs().mean(dim=1)
    masks_BKHW = box_masks(boxes_B44[:, USED_COMPONENTS], *difference_BHW.shape[-2:]).to(difference_BHW.dtype)
    areas_BK = masks_BKHW.sum(dim=(-2, -1)).clamp(min=1)
    sums_BK = torch.einsum("bkhw,bhw->bk", masks_BKHW, difference_BHW)
    return (sums_BK / areas_BK).mean(dim=1)


@LOSSES.register()
class ComponentL1Loss(Loss):
    """Mean absolute difference inside the boxes of the eyes and the mouth."""

    @property
    def name(self) -> str:
        """The term's short name in logs."""
        return "component"

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the term of each sample, (B,)."""
        return component_l1(inputs.pred_BCHW, inputs.target_BCHW, inputs.boxes_B44)
