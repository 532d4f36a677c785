"""Adversarial losses on logit maps, for a discriminator with any number of scales.

Sources: vanilla, Goodfellow et al., NeurIPS 2014 (the generator's side non-saturating); least squares, Mao et al.,
ICCV 2017; hinge, Lim and Ye 2017, as in Miyato et al., ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from dmdnet.losses.base import Loss, LossInput, per_sample_mean
from dmdnet.registry import LOSSES

GanType = Literal["hinge", "vanilla", "lsgan"]

# Elementwise penalties of a logit: what the generator wants of a fake, the discriminator of a real and of a fake.
_GENERATOR: dict[str, Callable[[Tensor], Tensor]] = {
    "hinge": torch.neg,
    "vanilla": lambda logit: functional.softplus(-logit),
    "lsgan": lambda logit: (logit - 1).square(),
}
_REAL: dict[str, Callable[[Tensor], Tensor]] = {
    "hinge": lambda logit: functional.relu(1 - logit),
    "vanilla": lambda logit: functional.softplus(-logit),
    "lsgan": lambda logit: (logit - 1).square(),
}
_FAKE: dict[str, Callable[[Tensor], Tensor]] = {
    "hinge": lambda logit: functional.relu(1 + logit),
    "vanilla": functional.softplus,
    "lsgan": torch.square,
}


def mean_over_maps(penalty: Callable[[Tensor], Tensor], maps: Sequence[Tensor]) -> Tensor:
    """Return the penalty of each sample, (B,) float32: the mean over each map, then over the maps."""
    return torch.stack([per_sample_mean(penalty(logits.float())) for logits in maps]).mean(dim=0)


@LOSSES.register()
class GANLoss(Loss):
    """Adversarial term; its `loss_weight` scales the generator's side only, as in BasicSR.

    Args:
        gan_type: hinge, vanilla (binary cross-entropy with logits) or lsgan (least squares).
        start_iter: the first iteration of the term; the discriminator is not trained before it either.
    """

    needs_discriminator = True
    trains_discriminator = True

    def __init__(self, *, gan_type: GanType = "hinge", loss_weight: float = 0.1, start_iter: int = 0) -> None:
        super().__init__(loss_weight=loss_weight, start_iter=start_iter)
        self.gan_type = gan_type

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the generator's side of each sample, (B,)."""
        return mean_over_maps(_GENERATOR[self.gan_type], inputs.judged_pred().maps)

    def real_loss(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the discriminator's penalty of each real picture, (B,)."""
        return mean_over_maps(_REAL[self.gan_type], maps)

    def fake_loss(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the discriminator's penalty of each restored picture, (B,)."""
        return mean_over_maps(_FAKE[self.gan_type], maps)
