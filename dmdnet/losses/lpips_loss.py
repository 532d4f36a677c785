"""LPIPS as a loss: the learned perceptual distance (Zhang et al., CVPR 2018, eq. 1), of each sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dmdnet.features.lpips import LPIPSFeatures, Trunk
from dmdnet.losses.base import Loss, LossInput
from dmdnet.registry import LOSSES


@LOSSES.register()
class LPIPSLoss(Loss):
    """Learned perceptual distance.

    Args:
        net: the trunk: "vgg" (as restoration networks are usually trained) or "alex" (the usual metric: a network
            trained with it is no longer fairly measured by it). Needs the lpips package and the trunk's weights.

    `prepare` raises WeightsError where the trunk's weights are not in the weights folder.
    """

    features: LPIPSFeatures

    def __init__(self, *, net: Trunk = "vgg", loss_weight: float = 1.0, start_iter: int = 0) -> None:
        super().__init__(loss_weight=loss_weight, start_iter=start_iter)
        self.net: Trunk = net

    def prepare(self, losses: Sequence[Loss], weights_folder: str | None) -> None:
        """Load one network for all losses with this trunk."""
        family = [loss for loss in losses if isinstance(loss, LPIPSLoss) and loss.net == self.net]
        first = family[0]
        self.features = LPIPSFeatures(self.net, weights_folder) if first is self else first.features

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the term of each sample, (B,)."""
        features, memo = self.features, inputs.target_memo
        if features not in memo:
            with torch.no_grad():
                memo[features] = features(inputs.target_BCHW)
        return features.distance(features(inputs.pred_BCHW), memo[features])
