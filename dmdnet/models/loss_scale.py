"""Float16's loss scale: small gradients are lifted above what float16 rounds to zero, and set down again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class LossScale:
    """One scale for both networks, kept on the device: torch's GradScaler, whose verdict `Watch` takes over.

    Args:
        device: where the gradients are.
        enabled: False leaves losses and gradients as they are.
    """

    def __init__(self, device: torch.device, enabled: bool) -> None:
        self._scaler = torch.amp.GradScaler(device.type, enabled=enabled)
        self._device = device
        self._enabled = enabled

    def scale(self, loss: Tensor) -> Tensor:
        """Return the loss, times the scale."""
        scaled: Tensor = self._scaler.scale(loss)
        return scaled

    def unscale(self, optimizers: list[torch.optim.Optimizer]) -> Tensor | None:
        """Divide the gradients by the scale and adapt it; return the scale that they had, (), None without one."""
        if not self._enabled:
            return None
        for optimizer in optimizers:
            self._scaler.unscale_(optimizer)
        used = self.scale(torch.ones((), device=self._device))
        self._scaler.update()
        return used

    def state_dict(self) -> dict[str, Any]:
        """Return the scale and since when it has held; empty where there is none."""
        return self._scaler.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take `state_dict()` back; a state without a scale leaves the first one."""
        if self._enabled and state:
            self._scaler.load_state_dict(dict(state))
