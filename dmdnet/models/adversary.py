"""The discriminator's side of adversarial training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dmdnet.config.options import TrainOptions
from dmdnet.errors import ConfigError
from dmdnet.losses.gan import GANLoss
from dmdnet.losses.judgement import Judge, gives_features
from dmdnet.models.objective import Objective, Output, Term
from dmdnet.models.optimisation import Optimisation


class Adversary:
    """A discriminator and its optimiser.

    Args:
        net: the discriminator, of whatever manner `dmdnet.losses.judgement` knows.
        optimisation: its optimiser.
        features: the generator's losses look at its features.
    """

    def __init__(self, net: nn.Module, optimisation: Optimisation, *, features: bool = False) -> None:
        self.net = net.train()
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
        return cls(net, Optimisation(net, recipe.optim_d, recipe), features=objective.needs_features)

    @torch.no_grad()
    def check(self, image_size: int, device: torch.device) -> None:
        """Show the discriminator a picture of this size: adversarial training may begin days after the run does.

        Raises:
            NetworkInputError: the pictures are too small for it.
        """
        self.net.eval()
        self._frozen(torch.zeros(1, 3, image_size, image_size, device=device))
        self.net.train()

    def distribute(self) -> None:
        """Wrap the discriminator's own pass for data-parallel training."""
        self._forward = DistributedDataParallel(self.net, broadcast_buffers=False, gradient_as_bucket_view=True)

    def freeze(self) -> Judge:
        """Return the bare discriminator for the generator's pass: it gets no gradients and reduces none."""
        self.net.requires_grad_(False)
        return self._frozen

    def terms(self, real_BCHW: Tensor, outputs: Mapping[str, Output], losses: Sequence[GANLoss]) -> dict[str, Term]:
        """Return `l_d_real` and `l_d_fake` from one pass over the real pictures and all outputs, detached.

        A sample's `l_d_fake` is the mean over the outputs that count for it.
        """
        self.net.requires_grad_(True)
        fakes = [output.image_BCHW.detach().float() for output in outputs.values()]
        weights_OB = torch.stack([output.weight_B for output in outputs.values()])
        maps = Judge(self._forward)(torch.cat([real_BCHW, *fakes])).maps
        batch = len(real_BCHW)
        real_maps = [logits[:batch] for logits in maps]
        fake_maps = [logits[batch:] for logits in maps]
        everyone = torch.ones_like(weights_OB[0])
        real_B = torch.stack([loss.real_loss(real_maps) for loss in losses]).sum(dim=0)
        fake_OB = torch.stack([loss.fake_loss(fake_maps) for loss in losses]).sum(dim=0).view(len(fakes), batch)
        fake_B = (fake_OB * weights_OB).sum(dim=0) / weights_OB.sum(dim=0).clamp(min=1)
        return {"l_d_real": Term(real_B, everyone, 1.0), "l_d_fake": Term(fake_B, everyone, 1.0)}
