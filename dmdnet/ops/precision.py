"""Where autocast must not reach."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which products keep the type of their inputs, for what bfloat16 would spoil.

    On the meta device, which torch's autocast does not know, it does nothing: shapes can then be worked out there.
    """
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def at_least_float32(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor in float32, or as it is in float64."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
