"""Factors of the learning rate. `schedule(iteration)` is for the update that ends iteration 1, 2, ..."""

from __future__ import annotations

import bisect
import math
from typing import Annotated

from pydantic import Field

from dmdnet.errors import ConfigError
from dmdnet.registry import SCHEDULERS, Runtime


@SCHEDULERS.register()
class ConstantLR:
    """The learning rate of the option file, throughout."""

    def __init__(self, *, total_iter: Runtime[int]) -> None:
        self.total_iter = total_iter

    def __call__(self, iteration: int) -> float:
        """Return 1."""
        return 1.0


@SCHEDULERS.register()
class MultiStepLR:
    """Multiply by `gamma` after each milestone.

    Args:
        milestones: rising iterations; the update after a milestone is the first with the new factor.
        gamma: the factor.
    """

    def __init__(self, *, total_iter: Runtime[int], milestones: tuple[int, ...], gamma: float = 0.5) -> None:
        if list(milestones) != sorted(milestones):
            raise ConfigError(f"train.scheduler.milestones: {list(milestones)} must rise")
        self.milestones = milestones
        self.gamma = gamma

    def __call__(self, iteration: int) -> float:
        """Return gamma to the number of milestones before `iteration`."""
        return self.gamma ** bisect.bisect_left(self.milestones, iteration)


@SCHEDULERS.register()
class CosineAnnealingLR:
    """Half a cosine from 1 down to `eta_min_ratio` at the last iteration (Loshchilov and Hutter, ICLR 2017, eq. 5).

    Args:
        eta_min_ratio: the last learning rate as a share of the first.
    """

    def __init__(self, *, total_iter: Runtime[int], eta_min_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0) -> None:
        self.total_iter = total_iter
        self.eta_min_ratio = eta_min_ratio

    def __call__(self, iteration: int) -> float:
        """Return the factor; iteration 1 has 1, the last one nearly `eta_min_ratio`."""
        share = min(iteration - 1, self.total_iter) / self.total_iter
        return self.eta_min_ratio + (1 - self.eta_min_ratio) * (1 + math.cos(math.pi * share)) / 2
