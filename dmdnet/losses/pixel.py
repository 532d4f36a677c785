"""Pixel losses: the mean over a picture of the absolute or squared difference."""

from __future__ import annotations

from torch import Tensor

from dmdnet.losses.base import Loss, LossInput, float32, per_sample_mean
from dmdnet.registry import LOSSES


def l1(pred_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Return mean |pred - target| of each sample, (B,) float32."""
    pred, target = float32(pred_BCHW, target_BCHW)
    return per_sample_mean((pred - target).abs())


def mse(pred_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Return mean (pred - target)^2 of each sample, (B,) float32."""
    pred, target = float32(pred_BCHW, target_BCHW)
    return per_sample_mean((pred - target).square())


@LOSSES.register()
class L1Loss(Loss):
    """Mean absolute difference on [-1, 1]."""

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the term of each sample, (B,)."""
        return l1(inputs.pred_BCHW, inputs.target_BCHW)


@LOSSES.register()
class MSELoss(Loss):
    """Mean squared difference on [-1, 1] (GFRNet, Li et al., ECCV 2018, weighs it by 100)."""

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the term of each sample, (B,)."""
        return mse(inputs.pred_BCHW, inputs.target_BCHW)
