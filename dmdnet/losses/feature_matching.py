"""The difference of what a discriminator's layers see in the restored and in the real picture.

Source: pix2pixHD (Wang et al., CVPR 2018, eq. 3), which sums over the layers of a discriminator and weighs by 10.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dmdnet.losses.base import Loss, LossInput, per_sample_mean
from dmdnet.registry import LOSSES


@LOSSES.register()
class FeatureMatchingLoss(Loss):
    """Mean absolute difference of the discriminator's features, the mean over all of its layers and scales.

    Args:
        loss_weight: PSFRGAN and pix2pixHD weigh their sums by 10.
        start_iter: the first iteration of the term. Before an adversarial loss trains the discriminator there is none:
            an untrained one sees nothing in particular.
    """

    needs_discriminator = True
    needs_features = True

    def __init__(self, *, loss_weight: float = 10.0, start_iter: int = 0) -> None:
        super().__init__(loss_weight=loss_weight, start_iter=start_iter)

    @property
    def name(self) -> str:
        """The term's short name in logs."""
        return "feature_matching"

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the term of each sample, (B,); the real picture's features have no graph."""
        pairs = zip(inputs.judged_pred().features, inputs.judged_target().features, strict=True)
        return torch.stack([per_sample_mean((mine.float() - real.float()).abs()) for mine, real in pairs]).mean(dim=0)
