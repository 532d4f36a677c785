"""What every loss takes and gives.

Shape suffixes: B batch, C channels, H W pixels, 4 boxes x 4 corners. Pictures are RGB float in [-1, 1].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dmdnet.losses.judgement import Judge, Judgement
from dmdnet.registry import LOSSES, Component


@dataclass(frozen=True)
class LossInput:
    """One output of the generator beside its target.

    `discriminator` judges pictures; None before adversarial training starts.
    The memos let losses share work: `pred_memo` lives as long as this input, `target_memo` is handed on by the
    model to the other outputs that have the same target.
    """

    pred_BCHW: Tensor
    target_BCHW: Tensor
    boxes_B44: Tensor
    discriminator: Judge | None = None
    pred_memo: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    target_memo: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def judged_pred(self) -> Judgement:
        """Return what the discriminator says of the prediction; computed once for all losses."""
        return self._judged(self.pred_memo, self.pred_BCHW)

    def judged_target(self) -> Judgement:
        """Return what it says of the target, without a graph; computed once for all losses and outputs."""
        with torch.no_grad():
            return self._judged(self.target_memo, self.target_BCHW)

    def _judged(self, memo: dict[Hashable, Any], image_BCHW: Tensor) -> Judgement:
        assert self.discriminator is not None, "the objective leaves out what needs a discriminator without one"
        if self.discriminator not in memo:
            memo[self.discriminator] = self.discriminator(image_BCHW, self.boxes_B44)
        judgement: Judgement = memo[self.discriminator]
        return judgement


class Loss(nn.Module, ABC):
    """A term of the generator's objective.

    Args:
        loss_weight: factor of the term in the objective; `forward` gives the term without it.
        start_iter: the first iteration (counted from 1) that has the term; 0 and 1 both mean from the start.

    Class attributes say what the model must have for it: `needs_discriminator`; `needs_features` of the
    discriminator; and `trains_discriminator`, where the loss has the discriminator's side as well (`GANLoss`).
    """

    needs_discriminator = False
    needs_features = False
    trains_discriminator = False

    def __init__(self, *, loss_weight: float = 1.0, start_iter: int = 0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.start_iter = start_iter

    @property
    def name(self) -> str:
        """The term's short name in logs: `L1Loss` is `l1`."""
        return type(self).__name__.removesuffix("Loss").lower()

    def active(self, iteration: int) -> bool:
        """Return whether the term counts at `iteration`."""
        return self.loss_weight != 0 and iteration >= self.start_iter

    def prepare(self, losses: Sequence[Loss], weights_folder: str | None) -> None:
        """Load what the loss needs from the weights folder (None: the usual one); `losses` are all that are in use."""

    @abstractmethod
    def forward(self, inputs: LossInput) -> Tensor:
        """Return the term of each sample, (B,) float32, unweighted."""


def per_sample_mean(values: Tensor) -> Tensor:
    """Return the mean of (B, ...) over everything but the batch, as (B,) float32."""
    return values.float().flatten(1).mean(dim=1)


def build_losses(components: Sequence[Component], weights_folder: str | None = None) -> tuple[Loss, ...]:
    """Return the losses of an option file, ready to use.

    Raises:
        WeightsError: a loss needs weights that are not in the weights folder.
    """
    losses: tuple[Loss, ...] = tuple(LOSSES.build(component) for component in components)
    for loss in losses:
        loss.prepare(losses, weights_folder)
    return losses


def unique_names(losses: Sequence[Loss]) -> tuple[str, ...]:
    """Return a log name for each loss; a second one of a kind gets its number: `l1`, `l1_2`."""
    return numbered([loss.name for loss in losses])


def numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, each that is there already with its number: `a`, `a_2`."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(found)


def float32(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors in float32, whatever autocast made of them."""
    return tuple(tensor.to(torch.float32) for tensor in tensors)
