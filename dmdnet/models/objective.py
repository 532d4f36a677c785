"""The generator's objective: every loss of the option file on every output, summed with the samples' weights.

Shape suffixes: B batch, C channels, H W pixels, 4 boxes x 4 corners.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dmdnet.losses.base import Loss, LossInput, unique_names
from dmdnet.losses.judgement import Judge


@dataclass(frozen=True)
class Output:
    """One output of the generator; `weight_B` says how much each sample counts (0 or 1)."""

    image_BCHW: Tensor
    weight_B: Tensor


@dataclass(frozen=True)
class Term:
    """One loss on one output: the value of each sample, unweighted, and how much each sample counts."""

    value_B: Tensor
    weight_B: Tensor
    loss_weight: float


class Objective(torch.nn.Module):
    """Holds the losses; `forward` gives one term per active loss and output, `total` sums them."""

    def __init__(self, losses: Sequence[Loss]) -> None:
        super().__init__()
        self.losses = torch.nn.ModuleList(losses)
        self.names = unique_names(losses)

    def _named(self) -> Any:
        return zip(self.names, self.losses, strict=True)

    @property
    def needs_discriminator(self) -> bool:
        """Whether any loss, at whatever iteration, needs a discriminator."""
        return any(loss.needs_discriminator for _, loss in self._named())

    @property
    def needs_features(self) -> bool:
        """Whether any loss looks at the discriminator's features."""
        return any(loss.needs_features for _, loss in self._named())

    @property
    def trains_discriminator(self) -> bool:
        """Whether any loss, at whatever iteration, has the discriminator's side."""
        return any(loss.trains_discriminator for _, loss in self._named())

    def adversarial(self, iteration: int) -> tuple[Any, ...]:
        """Return the losses at `iteration` that have the discriminator's side as well (`GANLoss`)."""
        return tuple(loss for _, loss in self._named() if loss.trains_discriminator and loss.active(iteration))

    def forward(
        self,
        outputs: Mapping[str, Output],
        target_BCHW: Tensor,
        boxes_B44: Tensor,
        discriminator: Judge | None,
        iteration: int,
        only: str | None = None,
    ) -> dict[str, Term]:
        """Return `l_g_<loss>_<output>` -> term, or the term called `only`; target features serve all outputs.

        Without a discriminator, losses that need one are left out.
        """
        terms: dict[str, Term] = {}
        target_memo: dict[Any, Any] = {}
        for output_name, output in outputs.items():
            inputs = LossInput(
                output.image_BCHW.float(), target_BCHW, boxes_B44, discriminator, target_memo=target_memo
            )
            for loss_name, loss in self._active(discriminator is not None, iteration):
                name = _term_name(loss_name, output_name)
                if only in (None, name):
                    terms[name] = Term(loss(inputs), output.weight_B, loss.loss_weight)
        return terms

    def term_names(self, outputs: Iterable[str], discriminator: bool, iteration: int) -> list[str]:
        """Return the names of the terms that `forward` gives."""
        losses = [name for name, _ in self._active(discriminator, iteration)]
        return [_term_name(loss, output) for output in outputs for loss in losses]

    def _active(self, discriminator: bool, iteration: int) -> list[tuple[str, Any]]:
        return [
            (name, loss)
            for name, loss in self._named()
            if loss.active(iteration) and (discriminator or not loss.needs_discriminator)
        ]


def _term_name(loss: str, output: str) -> str:
    return f"l_g_{loss}_{output}"


def total(terms: Mapping[str, Term]) -> Tensor:
    """Return the sum of the weighted terms, each averaged over the whole batch.

    A sample that does not count still stays in the divisor: the gradient of a batch split over ranks is then exactly
    that of the whole batch.
    """
    parts = [term.loss_weight * (term.value_B * term.weight_B).mean() for term in terms.values()]
    return torch.stack(parts).sum()


def joined(parts: Sequence[Mapping[str, Term]]) -> dict[str, Term]:
    """Return the terms of a batch from those of its parts, without their graphs."""
    found: dict[str, Term] = {}
    for name, first in parts[0].items():
        values = [part[name].value_B.detach() for part in parts]
        weights = [part[name].weight_B for part in parts]
        whole = len(parts) == 1
        found[name] = Term(
            values[0] if whole else torch.cat(values), weights[0] if whole else torch.cat(weights), first.loss_weight
        )
    return found
