"""Channels-last memory for convolutions: about a quarter less time a step on CPUs, and what GPUs' matrix units want."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmdnet.ops.spectral_norm import SpectralConv2d

CHANNELS_LAST = torch.channels_last


def convolutions_channels_last(network: nn.Module) -> None:
    """Store the weights of all 2-D convolutions channels-last, in place; names, shapes and values stay.

    Only convolutions: the patches of the dictionaries are read as rows of a matrix, which channels-last would copy.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | SpectralConv2d):
            for parameter in module.parameters(recurse=False):
                if parameter.dim() == 4:
                    # Not `contiguous`: it leaves a 1 x 1 kernel its old strides, of which DDP warns at each backward.
                    laid_out = torch.empty_like(parameter.data, memory_format=CHANNELS_LAST)
                    parameter.data = laid_out.copy_(parameter.data)


def pictures_channels_last(images: Tensor) -> Tensor:
    """Return pictures (..., C, H, W) with the same values in channels-last memory."""
    flat = images.flatten(0, -4).contiguous(memory_format=CHANNELS_LAST)
    return flat.unflatten(0, images.shape[:-3])
