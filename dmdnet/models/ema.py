"""The exponential moving average of a network's weights, which evaluation and the release use."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def ema_decay_at(iteration: int, decay: float) -> float:
    """Return min(decay, (1 + n) / (10 + n)): short memory at first, so that early weights are soon forgotten.

    Source: the warm-up of TensorFlow's ExponentialMovingAverage (`num_updates`).
    """
    return min(decay, (1 + iteration) / (10 + iteration))


class EMA:
    """Averages the parameters of `source` into `module`; buffers (spectral norm's u and v) are copied.

    Args:
        module: a copy of the network; it is frozen.
        source: the network that is trained.
        decay: the share of the old average kept at each update, in [0, 1).
    """

    def __init__(self, module: nn.Module, source: nn.Module, decay: float) -> None:
        self.module = module.eval().requires_grad_(False)
        self.decay = decay
        self._source = source
        self.reset()

    def reset(self) -> None:
        """Make the average equal to the source."""
        self.module.load_state_dict(self._source.state_dict())

    @torch.no_grad()
    def update(self, iteration: int) -> None:
        """Move the average towards the source, after the update that ends `iteration`."""
        weight = 1 - ema_decay_at(iteration, self.decay)
        mine: list[Tensor] = list(self.module.parameters())
        theirs: list[Tensor] = list(self._source.parameters())
        torch._foreach_lerp_(mine, theirs, weight)
        buffers = list(self.module.buffers())
        if buffers:
            torch._foreach_copy_(buffers, list(self._source.buffers()))
