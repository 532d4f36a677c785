"""Results that are the same to the bit, run after run, on one machine."""

from __future__ import annotations

import os

import torch


def use_deterministic(wanted: bool, *, warn_only: bool = False) -> None:
    """Have torch take algorithms that add in one order only, or let it choose freely.

    Args:
        warn_only: where an operation has no such algorithm, warn instead of raising a RuntimeError.
    """
    if wanted:  # cuBLAS wants it before its first use, else torch stops at the first product
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(wanted, warn_only=warn_only)
