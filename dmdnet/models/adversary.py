"""The discriminator's side of adversarial training."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dmdnet.config.options import TrainOptions
from dmdnet.errors import ConfigError
from dmdnet.losses.base import numbered
from dmdnet.losses.gan import GANLoss
from dmdnet.losses.judgement import Judge, gives_features
from dmdnet.models.objective import Objective, Output, Term
from dmdnet.models.optimisation import Optimisation


class Adversary:
    """A discriminator and its optimiser.

    Args:
        net: the discriminator, of whatever manner `dmdnet.losses.judgement` knows.
        optimisation: its optimiser.
        losses: the adversarial losses that train it, at whatever iteration.
        features: the generator's losses look at its features.
    """

    def __init__(
        self, net: nn.Module, optimisation: Optimisation, losses: Sequence[GANLoss], *, features: bool = False
    ) -> None:
        self.net = net.train()
        self._losses = losses
        self.optimisation = optimisation
        self._frozen = Judge(net, features=features)
        self._forward: nn.Module = net

    @classmethod
    def build(cls, net: nn.Module | None, objective: Objective, recipe: TrainOptions) -> Adversary | None:
        """Return the adversary, or None where no loss asks for one.

        Raises:
            ConfigError: of network_d, train.optim_d and an adversarial loss only some are given; a loss wants features
                that the discriminator does not give.
        """
        given = {
            "network_d": net is not None,
            "train.optim_d": recipe.optim_d is not None,
            "an adversarial loss in train.losses": objective.trains_discriminator,
        }
        missing = [name for name, there in given.items() if not there]
        if len(missing) == len(given) and not objective.needs_discriminator:
            return None
        if missing:
            found = [name for name, there in given.items() if there] or ["a loss that needs a discriminator"]
            raise ConfigError(
                f"adversarial training needs {', '.join(given)}: the options have {' and '.join(found)} but not "
                f"{' and '.join(missing)}; add what is missing or remove the rest"
            )
        assert net is not None
        assert recipe.optim_d is not None
        if objective.needs_features and not gives_features(net):
            raise ConfigError(
                f"network_d: {type(net).__name__} does not give its features, which FeatureMatchingLoss compares; take "
                "MultiScaleDiscriminator, or the loss out"
            )
        optimisation = Optimisation(net, recipe.optim_d, recipe)
        losses: list[Any] = [loss for loss in objective.losses if loss.trains_discriminator and loss.loss_weight]
        return cls(net, optimisation, losses, features=objective.needs_features)

    @torch.no_grad()
    def check(self, image_size: int, device: torch.device) -> None:
        """Show the discriminator a picture of this size: adversarial training may begin days after the run does.

        Raises:
            NetworkInputError: the pictures are too small for it.
            ConfigError: its parts are not those that the losses are about.
        """
        self.net.eval()
        boxes = torch.tensor([0, 0, image_size, image_size], device=device).expand(1, 4, 4)
        judgement = self._frozen(torch.zeros(1, 3, image_size, image_size, device=device), boxes)
        self.net.train()
        check_parts(judgement.parts, self._losses)

    def distribute(self) -> None:
        """Wrap the discriminator's own pass for data-parallel training."""
        self._forward = DistributedDataParallel(self.net, broadcast_buffers=False, gradient_as_bucket_view=True)

    @property
    def trained(self) -> nn.Module:
        """The discriminator as its own pass calls it: bare, or wrapped by `distribute`."""
        return self._forward

    def freeze(self) -> Judge:
        """Return the bare discriminator for the generator's pass: it gets no gradients and reduces none."""
        self.net.requires_grad_(False)
        return self._frozen

    def terms(
        self,
        real_BCHW: Tensor,
        boxes_B44: Tensor,
        outputs: Mapping[str, Output],
        losses: Sequence[GANLoss],
        iteration: int,
        *,
        bare: bool = False,
    ) -> dict[str, Term]:
        """Return `l_d_real` and `l_d_fake` from one pass over the real pictures and all outputs, detached.

        The boxes are those of the components of the real pictures, and of all outputs of them.
        A sample's terms are means over the outputs that count for it. At the iterations of a penalty there is
        `l_d_r1` as well, from a pass of its own. `bare`: nothing that wraps the discriminator takes notice of the pass.
        """
        self.net.requires_grad_(True)
        fakes = [output.image_BCHW.detach().float() for output in outputs.values()]
        weights_OB = torch.stack([output.weight_B for output in outputs.values()])
        boxes = torch.cat([boxes_B44] * (1 + len(fakes)))
        judgement = Judge(self.net, call=self.net if bare else self._forward)(torch.cat([real_BCHW, *fakes]), boxes)
        batch = len(real_BCHW)
        real_terms, fake_terms = [], []
        for loss in losses:
            maps = judgement.maps(loss.part)
            real_maps = [torch.cat([logits[:batch]] * len(fakes)) for logits in maps]
            fake_maps = [logits[batch:] for logits in maps]
            real_terms.append(loss.real_loss(real_maps, fake_maps))
            fake_terms.append(loss.fake_loss(fake_maps, real_maps))
        everyone = torch.ones_like(weights_OB[0])
        terms = {
            name: Term(_mean_over_outputs(value_N.view(len(fakes), batch), weights_OB), everyone, 1.0)
            for name, value_N in (("l_d_real", _sum(real_terms)), ("l_d_fake", _sum(fake_terms)))
        }
        penalised, penalties = self._penalties(losses, iteration)
        # The bare network's `forward`: nothing that compiles or wraps it has a second derivative. Its parameters are
        # those of the pass above, so that data-parallel training waits for both and averages their sum.
        judge = Judge(self.net, call=self.net.forward)
        for name, loss in zip(penalties, penalised, strict=True):
            terms[name] = Term(loss.penalty(judge, real_BCHW, boxes_B44), everyone, loss.r1_weight)
        return terms

    def term_names(self, losses: Sequence[GANLoss], iteration: int) -> list[str]:
        """Return the names of the `terms`."""
        return ["l_d_real", "l_d_fake", *self._penalties(losses, iteration)[1]]

    def _penalties(self, losses: Sequence[GANLoss], iteration: int) -> tuple[list[GANLoss], Sequence[str]]:
        penalised = [loss for loss in losses if loss.has_penalty(iteration)]
        return penalised, numbered(["l_d_r1"] * len(penalised))


def check_parts(parts: Collection[str], losses: Sequence[GANLoss]) -> None:
    """Hold the parts of a discriminator against the losses that train it.

    Raises:
        ConfigError: a loss is about a part that is not there; a part is trained by no loss, or later than another
            (its optimiser would then start with moments that say nothing).
    """
    starts: dict[str, int] = {}
    for loss in losses:
        if loss.part is not None and loss.part not in parts:
            known = ", ".join(filter(None, parts)) or "none: take a JointDiscriminator"
            raise ConfigError(f"train.losses: {type(loss).__name__} has part {loss.part!r}; network_d has {known}")
        for part in parts if loss.part is None else [loss.part]:
            starts[part] = min(starts.get(part, loss.start_iter), loss.start_iter)
    idle = [part for part in parts if part not in starts]
    if idle:
        raise ConfigError(
            f"network_d: no loss trains its part {', '.join(idle)}; add a GANLoss with that part, or take the part out"
        )
    if len({max(start, 1) for start in starts.values()}) > 1:
        each = ", ".join(f"{part} from {start}" for part, start in starts.items())
        raise ConfigError(f"train.losses: the parts of network_d start at different iterations ({each}); make the "
                          "start_iter of their losses equal")  # fmt: skip


def _sum(terms: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum(dim=0)


def _mean_over_outputs(value_OB: Tensor, weight_OB: Tensor) -> Tensor:
    return (value_OB * weight_OB).sum(dim=0) / weight_OB.sum(dim=0).clamp(min=1)
