"""Adversarial losses on logit maps, for a discriminator with any number of scales.

Sources: vanilla, Goodfellow et al., NeurIPS 2014 (the generator's side non-saturating); least squares, Mao et al.,
ICCV 2017; hinge, Lim and Ye 2017, as in Miyato et al., ICLR 2018; relativistic average, Jolicoeur-Martineau, ICLR 2019;
R1, Mescheder et al., ICML 2018, eq. 9, and as a lazy term Karras et al., CVPR 2020, appendix B.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from dmdnet.losses.base import Loss, LossInput, per_sample_mean
from dmdnet.losses.judgement import Judge
from dmdnet.ops.precision import without_autocast
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
# Between real and restored, least squares wants 1 and -1 (relativistic), not 1 and 0.
_RELATIVE_FAKE = {**_FAKE, "lsgan": lambda logit: (logit + 1).square()}


def mean_over_maps(penalty: Callable[[Tensor], Tensor], maps: Sequence[Tensor]) -> Tensor:
    """Return the penalty of each sample, (B,) float32: the mean over each map, then over the maps."""
    return torch.stack([per_sample_mean(penalty(logits.float())) for logits in maps]).mean(dim=0)


def relative(maps: Sequence[Tensor], others: Sequence[Tensor]) -> list[Tensor]:
    """Return each map of logits less the mean of the other picture's map.

    The paper averages over the batch. Here the other picture is the same face, real or restored, and the average is
    over its own map: then no sample depends on its neighbours, and a batch split over ranks trains as one.
    """
    pairs = zip(maps, others, strict=True)
    return [one.float() - per_sample_mean(other).view(-1, *[1] * (one.dim() - 1)) for one, other in pairs]


def squared_gradient(judge: Judge, image_BCHW: Tensor, boxes_B44: Tensor, part: str | None = None) -> Tensor:
    """Return |dD(x)/dx|^2 of each picture, (B,) float32, ready for a second derivative.

    D(x) is the sum of a map's N logits over sqrt(N), and the mean of the maps. Of logits that see different parts of
    the picture, this is the mean of their squared gradients, so that gamma means the same whatever N is; of one logit
    a picture it is the published penalty. (BasicSR sums the logits: its gamma is this one divided by N.)
    """
    image = image_BCHW.detach().float().requires_grad_()
    with without_autocast(image.device):
        maps = judge(image, boxes_B44).maps(part)
        score_B = torch.stack(
            [logits.float().flatten(1).sum(dim=1) / logits[0].numel() ** 0.5 for logits in maps]
        ).mean(dim=0)
        (gradient,) = torch.autograd.grad(score_B.sum(), image, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1)


@LOSSES.register()
class GANLoss(Loss):
    """Adversarial term; its `loss_weight` scales the generator's side only, as in BasicSR.

    Args:
        gan_type: hinge, vanilla (binary cross-entropy with logits) or lsgan (least squares).
        relativistic: each logit is judged less the mean of the other picture's (relativistic average), on both sides.
        part: which part of a `JointDiscriminator` it is about; by default the mean of all maps of all parts.
        r1_gamma: weight of half the discriminator's squared gradient at real pictures; 0: none.
        r1_every: iterations from one such penalty to the next; it counts so many times as much.
        start_iter: the first iteration of the term; the discriminator is not trained before it either.
    """

    needs_discriminator = True
    trains_discriminator = True

    def __init__(
        self,
        *,
        gan_type: GanType = "hinge",
        relativistic: bool = False,
        part: str | None = None,
        r1_gamma: Annotated[float, Field(ge=0)] = 0.0,
        r1_every: Annotated[int, Field(gt=0)] = 16,
        loss_weight: float = 0.1,
        start_iter: int = 0,
    ) -> None:
        super().__init__(loss_weight=loss_weight, start_iter=start_iter)
        self.gan_type = gan_type
        self.relativistic = relativistic
        self.part = part
        self.r1_every = r1_every
        self.r1_weight = r1_gamma / 2 * r1_every

    @property
    def name(self) -> str:
        """The term's short name in logs: `gan`, or `gan_<part>`."""
        return "gan" if self.part is None else f"gan_{self.part}"

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the generator's side of each sample, (B,)."""
        fake = inputs.judged_pred().maps(self.part)
        if not self.relativistic:
            return mean_over_maps(_GENERATOR[self.gan_type], fake)
        real = inputs.judged_target().maps(self.part)  # and the roles are exchanged
        return self.real_loss(fake, real) + self.fake_loss(real, fake)

    def real_loss(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
        """Return the discriminator's penalty of each real picture, given the logits of its restored one, (B,)."""
        return mean_over_maps(_REAL[self.gan_type], relative(real, fake) if self.relativistic else real)

    def fake_loss(self, fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
        """Return the discriminator's penalty of each restored picture, given the logits of its real one, (B,)."""
        if self.relativistic:
            return mean_over_maps(_RELATIVE_FAKE[self.gan_type], relative(fake, real))
        return mean_over_maps(_FAKE[self.gan_type], fake)

    def has_penalty(self, iteration: int) -> bool:
        """Return whether `penalty` counts at `iteration`; a function of it alone, so that resuming changes nothing."""
        return self.r1_weight > 0 and iteration % self.r1_every == 0

    def penalty(self, judge: Judge, real_BCHW: Tensor, boxes_B44: Tensor) -> Tensor:
        """Return the discriminator's squared gradient at each real picture, (B,); `r1_weight` is its weight."""
        return squared_gradient(judge, real_BCHW, boxes_B44, self.part)
