"""What every loss takes and gives.

Shape suffixes: B batch, C channels, H W pixels, 4 boxes x 4 corners. Pictures are RGB float in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dmdnet.registry import LOSSES, Component

Discriminator = Callable[[Tensor], list[Tensor]]


@dataclass(frozen=True)
class LossInput:
    """One output of the generator beside its target.

    `discriminator` maps pictures to a list of logit maps (B, C, h, w); None before adversarial training starts.
    The memos let losses share work: `pred_memo` lives as long as this input, `target_memo` is handed on by the
    model to the other outputs that have the same target.
    """

    pred_BCHW: Tensor
    target_BCHW: Tensor
    boxes_B44: Tensor
    discriminator: Discriminator | None = None
    pred_memo: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    target_memo: dict[Hashable, Any] = field(default_factory=dict, repr=False)


class Loss(nn.Module):
    """A term of the generator's objective.

    Args:
        loss_weight: factor of the term in the objective; `forward` gives the term without it.
        start_iter: the first iteration (counted from 1) that has the term; 0 and 1 both mean from the start.
    """

    needs_discriminator = False

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

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the term of each sample, (B,) float32, unweighted."""
        raise NotImplementedError


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
    seen: dict[str, int] = {}
    names = []
    for loss in losses:
        seen[loss.name] = seen.get(loss.name, 0) + 1
        names.append(loss.name if seen[loss.name] == 1 else f"{loss.name}_{seen[loss.name]}")
    return tuple(names)


def float32(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors in float32, whatever autocast made of them."""
    return tuple(tensor.to(torch.float32) for tensor in tensors)
