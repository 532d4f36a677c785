"""Small arrays of parameters from the host to the device, without waiting."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Return a copy of `array` on the device; to an accelerator it goes from pinned memory, without waiting for it."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def per_picture(values: list[float], device: torch.device) -> Tensor:
    """Return one float32 number a picture, shaped (B, 1, 1, 1)."""
    return to_device(np.array(values, np.float32).reshape(-1, 1, 1, 1), device)


@lru_cache(maxsize=64)
def counting(length: int, device: torch.device) -> Tensor:
    """Return 0, 1, ... length - 1, int64; not to be written to."""
    return torch.arange(length, device=device)
