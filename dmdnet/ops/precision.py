"""Where autocast and TF32 must not reach."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which products keep the type of their inputs, for what bfloat16 would spoil.

    On the meta device, which torch's autocast does not know, it does nothing: shapes can then be worked out there.
    """
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def at_least_float32(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor in float32, or as it is in float64."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def set_matmul_precision(precision: Literal["highest", "high"]) -> None:
    """Let CUDA devices take TF32 ("high") for float32 convolutions and products, or keep all 24 bits ("highest").

    What must stay exact in spite of it (crops, pasting, dictionary reads, degradations) is under
    `full_float32_products`; the backward passes of these are not.
    """
    wanted = {"highest": "ieee", "high": "tf32"}[precision]
    torch.backends.cuda.matmul.fp32_precision = wanted
    torch.backends.cudnn.conv.fp32_precision = wanted  # type: ignore[attr-defined]


@contextmanager
def full_float32_products(device: torch.device) -> Iterator[None]:
    """Let matrix products and convolutions keep all 24 bits of float32, whatever was allowed for the networks, and
    autocast not reach.

    TF32 would keep 11 bits of each factor. The switch is read when a product is launched, so that it may be turned
    back as soon as the launch has returned. There is one switch for all threads: the first that comes in turns it,
    the last that leaves turns it back.
    """
    _full_precision.enter()
    try:
        with without_autocast(device):
            yield
    finally:
        _full_precision.leave()


@contextmanager
def torchs_own_precision(device: torch.device) -> Iterator[None]:
    """Let convolutions be as torch has them at first, for libraries that use its older switch; autocast not reach.

    torch raises where the older switch is looked at after the newer one was turned.
    """
    switch = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = switch.fp32_precision
    switch.fp32_precision = "tf32"
    try:
        with without_autocast(device):
            yield
    finally:
        switch.fp32_precision = before


class _FullPrecision:
    """The switches of the process, and how many threads want them at full precision."""

    def __init__(self) -> None:
        self._switches = (
            torch.backends.cuda.matmul,
            torch.backends.cudnn.conv,  # type: ignore[attr-defined]
            torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
            torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
        )
        self._lock = threading.Lock()
        self._inside = 0
        self._before: list[str] = []

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = [switch.fp32_precision for switch in self._switches]
                for switch in self._switches:
                    switch.fp32_precision = "ieee"
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for switch, precision in zip(self._switches, self._before, strict=True):
                    switch.fp32_precision = precision


_full_precision = _FullPrecision()
