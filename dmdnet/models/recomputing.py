"""Activation checkpointing: blocks that forget what they computed and compute it again for the backward pass.

Chen et al. 2016, arXiv 1604.06174. Less memory for about a third more time; the numbers stay the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dmdnet.errors import ConfigError


def blocks_to_recompute(network: nn.Module) -> list[nn.Module]:
    """Return the blocks that the network names (`checkpoint_blocks()`).

    Raises:
        ConfigError: the network names no blocks.
    """
    named = getattr(network, "checkpoint_blocks", None)
    if named is None:
        raise ConfigError(
            f"train.activation_checkpointing: {type(network).__name__} does not say which blocks can be computed "
            "again (checkpoint_blocks); set it to false"
        )
    blocks: list[nn.Module] = named()
    return blocks


def recompute(blocks: Sequence[nn.Module]) -> None:
    """Make blocks recompute their activations, in place; names in the state dict stay.

    Their buffers must stay the same objects. Copies of the network that are made later would call these blocks.
    """
    for block in blocks:
        block.forward = partial(_recomputed, block.forward, list(block.buffers()))


def _recomputed(forward: Callable[..., Any], buffers: list[Tensor], *arguments: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*arguments)
    return checkpoint(forward, *arguments, use_reentrant=False, context_fn=partial(_contexts, buffers))


def _contexts(buffers: list[Tensor]) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Return what surrounds the first run, and the second.

    The second begins with the buffers that the first began with. It makes the same power iteration again: a run without
    would be another graph for torch.compile, which may keep other things for the backward pass.
    """
    return nullcontext(), _as_before(buffers, [buffer.clone() for buffer in buffers])


@contextmanager
def _as_before(buffers: list[Tensor], before: list[Tensor]) -> Iterator[None]:
    now = [buffer.clone() for buffer in buffers]
    _copy(buffers, before)
    try:
        yield
    finally:
        _copy(buffers, now)


@torch.no_grad()
def _copy(to: list[Tensor], values: list[Tensor]) -> None:
    if to:
        torch._foreach_copy_(to, values)
