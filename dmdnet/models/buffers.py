"""What a forward changes besides giving an output: buffers, as spectral norm's vectors and batch norm's statistics."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dmdnet.models import finite

_SINGULAR_VECTORS = ("weight_u", "weight_v", "0._u", "0._v")  # of ours and of torch's two spectral norms


class Buffers:
    """The floating-point buffers of some networks as they were before a step.

    Args:
        networks: their buffers must stay the same objects.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        named = [item for network in networks for item in network.named_buffers() if item[1].is_floating_point()]
        self._all = [buffer for _, buffer in named]
        self._vectors = [buffer for name, buffer in named if name.endswith(_SINGULAR_VECTORS)]
        self._before: list[Tensor] = []
        self._vectors_before: list[Tensor] = []

    @torch.no_grad()
    def remember(self) -> None:
        """Copy the buffers, before the step's first forward."""
        if self._all:
            flat = torch.cat([buffer.flatten() for buffer in self._all])
            self._before = _views(flat, self._all)
            places = {id(buffer): view for buffer, view in zip(self._all, self._before, strict=True)}
            self._vectors_before = [places[id(vector)] for vector in self._vectors]

    @torch.no_grad()
    def replay(self) -> None:
        """Set the singular vectors back, so that the next part of the same batch makes the same power iterations."""
        if self._vectors:
            torch._foreach_copy_(self._vectors, self._vectors_before)

    @torch.no_grad()
    def undo(self, skip: Tensor) -> None:
        """Set all buffers back where `skip`, (), is 1: what is not finite may have gone into batch norm's."""
        if not self._all or (finite.free_to_read(skip) and not skip):
            return
        before = torch.cat([view.flatten() for view in self._before])
        now = torch.cat([buffer.flatten() for buffer in self._all])
        torch._foreach_copy_(self._all, _views(torch.where(skip > 0, before, now), self._all))


def _views(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    parts = flat.split([tensor.numel() for tensor in like])
    return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]
