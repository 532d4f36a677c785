"""The exponential moving average of a network's weights, which evaluation and the release use."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmdnet.models import finite


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
        self._mine: list[Tensor] = list(module.parameters())
        self._theirs: list[Tensor] = list(source.parameters())
        self._my_buffers, self._their_buffers = list(module.buffers()), list(source.buffers())
        self.reset()

    def reset(self) -> None:
        """Make the average equal to the source."""
        self.module.load_state_dict(self._source.state_dict())

    @torch.no_grad()
    def update(self, iteration: int, skip: Tensor | None = None) -> None:
        """Move the average towards the source, after the update that ends `iteration`.

        Args:
            skip: (), 1 where the update was left out; then the average stays, too.
        """
        if skip is not None and finite.free_to_read(skip):
            if skip:
                return
            skip = None
        weight = 1 - ema_decay_at(iteration, self.decay)
        torch._foreach_lerp_(self._mine, _unless(skip, self._theirs, self._mine), weight)
        if self._my_buffers:
            torch._foreach_copy_(self._my_buffers, self._their_buffers)


def _unless(skip: Tensor | None, theirs: list[Tensor], mine: list[Tensor]) -> list[Tensor]:
    """Return `theirs`, or where `skip` is 1 `mine`: an average that moves towards itself stays to the bit."""
    if skip is None:
        return theirs
    # There is no foreach `where`; of x * 1 + y * 0 every bit is x's, as long as y is finite (and x is not -0).
    chosen = list(torch._foreach_mul(theirs, 1 - skip))
    torch._foreach_add_(chosen, torch._foreach_mul(mine, skip))
    return chosen
