"""VGG19 features (Simonyan and Zisserman, ICLR 2015).

Layers are named convK_N: the N-th convolution of block K, before its ReLU (as in ESRGAN, Wang et al., ECCVW 2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from dmdnet.errors import ConfigError, WeightsError

# Convolutions per block and their channels. The first, third, ... entry of torchvision's `features` is a convolution.
_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def _layer_table() -> dict[str, tuple[int, int, int, bool]]:
    """Return layer name -> (index in torchvision's `features`, channels in, channels out, pooled before)."""
    table: dict[str, tuple[int, int, int, bool]] = {}
    index, channels_in = 0, 3
    for block, (convolutions, channels) in enumerate(_BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            table[f"conv{block}_{number}"] = (index, channels_in, channels, number == 1 and block > 1)
            channels_in = channels
            index += 2  # a convolution and its ReLU
        index += 1  # the pooling
    return table


LAYERS = _layer_table()


def check_layers(layers: Iterable[str]) -> frozenset[str]:
    """Return the layers as a set.

    Raises:
        ConfigError: there are none, or an unknown one.
    """
    found = frozenset(layers)
    unknown = sorted(found - LAYERS.keys())
    if unknown or not found:
        raise ConfigError(f"VGG19 has no layers {', '.join(unknown) or 'to compare'}; known are {', '.join(LAYERS)}")
    return found


class VGG19Features(nn.Module):
    """The convolutions of VGG19 up to the last layer asked for; frozen.

    Args:
        layers: names of the layers to return, for example "conv3_4".
        state: a state dict with torchvision's names (`features.0.weight`, ...).

    Raises:
        ConfigError: an unknown layer.
        WeightsError: `state` lacks a weight or has one of another shape.
    """

    def __init__(self, layers: Iterable[str], state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.layers = check_layers(layers)
        names = list(LAYERS)
        self.convolutions = nn.ModuleDict()
        for name in names[: 1 + max(names.index(layer) for layer in self.layers)]:
            index, channels_in, channels_out, _ = LAYERS[name]
            self.convolutions[name] = nn.Conv2d(channels_in, channels_out, 3, padding=1)
            _copy(self.convolutions[name], state, f"features.{index}.")
        self.mean = nn.Buffer(torch.tensor(_IMAGENET_MEAN).view(1, 3, 1, 1))
        self.std = nn.Buffer(torch.tensor(_IMAGENET_STD).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, image_BCHW: Tensor) -> dict[str, Tensor]:
        """Return layer name -> features of RGB pictures in [-1, 1]."""
        x = ((image_BCHW + 1) / 2 - self.mean) / self.std
        features = {}
        for name, convolution in self.convolutions.items():
            if LAYERS[name][3]:
                x = functional.max_pool2d(x, 2)
            x = convolution(x)
            if name in self.layers:
                features[name] = x
            x = functional.relu(x)
        return features


def _copy(convolution: nn.Module, state: Mapping[str, Tensor], prefix: str) -> None:
    for kind, parameter in convolution.named_parameters():
        key = prefix + kind
        if key not in state or state[key].shape != parameter.shape:
            found = tuple(state[key].shape) if key in state else "nothing"
            raise WeightsError(f"VGG19 weights: {key} should have shape {tuple(parameter.shape)}, found {found}")
        with torch.no_grad():
            parameter.copy_(state[key])
