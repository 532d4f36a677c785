"""Activation checkpointing: blocks that forget what they computed and compute it again for the backward pass.

Chen et al. 2016, arXiv 1604.06174. Less memory for about a third more time; the numbers stay the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dmdnet.errors import ConfigError
from dmdnet.ops.spectral_norm import without_power_iteration


def recompute_blocks(network: nn.Module) -> None:
    """Make the blocks that the network names (`checkpoint_blocks()`) recompute their activations, in place.

    Names in the state dict stay. Copies of the network that are made later would call the blocks of this one.

    Raises:
        ConfigError: the network names no blocks.
    """
    named = getattr(network, "checkpoint_blocks", None)
    if named is None:
        raise ConfigError(
            f"train.activation_checkpointing: {type(network).__name__} does not say which blocks can be computed "
            "again (checkpoint_blocks); set it to false"
        )
    for block in named():
        block.forward = partial(_recomputed, block.forward)


def _recomputed(forward: Callable[..., Any], *arguments: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*arguments)
    return checkpoint(forward, *arguments, use_reentrant=False, context_fn=_contexts)


def _contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Return what surrounds the first run, and the second: it takes the singular vectors that the first has left."""
    return nullcontext(), without_power_iteration()
