"""LPIPS of the face alone: everything else is black on both pictures (fLPIPS of ReF-LDM)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

import torch
from torch import Tensor

from dmdnet.features.lpips import SMALLEST_SIDE, LPIPSFeatures, Trunk, load_lpips
from dmdnet.features.parsing import FaceParser, load_parser
from dmdnet.images import to_float
from dmdnet.metrics.base import Metric, MetricInput
from dmdnet.metrics.face_places import remembered
from dmdnet.metrics.lpips_maps import lpips_maps, mean_of_maps
from dmdnet.metrics.regions import pair
from dmdnet.metrics.ssim import check_side
from dmdnet.registry import METRICS


@METRICS.register()
class FaceLPIPS(Metric):
    """LPIPS of two pictures on which all but the target's face is black, over the whole frame.

    The face is skin, ears, nose, mouth, lips, brows, eyes and glasses of CelebAMask-HQ's classes, found on the target
    by facexlib's ParseNet, which knows FFHQ-aligned pictures. ReF-LDM took the same classes from another parser, so
    that its numbers differ a little. The black part adds nothing: the number grows with the face's share of the
    picture.

    Args:
        net: the trunk of LPIPS, "vgg" as ReF-LDM has it, or "alex". Needs facexlib, lpips, ParseNet's weights and the
            trunk's (`python -m dmdnet weights`).
    """

    higher_is_better: ClassVar[bool] = False
    undefined = "no face is parsed on the target"
    features: LPIPSFeatures
    parser: FaceParser

    def __init__(self, *, net: Trunk = "vgg") -> None:
        super().__init__()
        self.net: Trunk = net
        self.smallest_side = SMALLEST_SIDE[net]
        self.recipe = f"flpips@{net}/[-1,1]/rgb/parsenet-of-target"

    def prepare(self, weights_folder: str | None) -> None:
        """Load both networks; see `Metric.prepare`."""
        self.features = load_lpips(self.net, weights_folder)
        self.parser = load_parser(weights_folder)

    def forward(self, inputs: MetricInput) -> Tensor:
        """Return distances (B,), from 0; see `Metric.forward`."""
        pred_BCHW, target_BCHW = pair(self.recipe, inputs)
        check_side(self.recipe, pred_BCHW, self.smallest_side)
        mask_B1HW = remembered(inputs.target_memo, (self.parser, "mask"), lambda: self._mask(target_BCHW))
        # the masked pictures are other pictures than the whole ones, whose features the memos keep
        pred_memo: dict[Hashable, Any] = remembered(inputs.pred_memo, (self.parser, "memo"), dict)
        target_memo: dict[Hashable, Any] = remembered(inputs.target_memo, (self.parser, "memo"), dict)
        masked = MetricInput(
            pred_BCHW * mask_B1HW, target_BCHW * mask_B1HW, pred_memo=pred_memo, target_memo=target_memo
        )
        distance_B = mean_of_maps(lpips_maps(self.recipe, self.features, masked))
        return torch.where(mask_B1HW.bool().flatten(1).any(dim=1), distance_B, torch.nan)

    def _mask(self, target_BCHW: Tensor) -> Tensor:
        """Return uint8 (B, 1, H, W), 1 on the face; picture by picture, for its memory and so that batches do not
        matter."""
        masks = [self.parser.face_mask(to_float(picture)) for picture in target_BCHW.split(1)]
        return torch.cat(masks)[:, None].to(torch.uint8)
