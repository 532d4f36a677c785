"""The Inception network of FID and KID: TensorFlow's of 2015-12-05, whose pooled features have 2048 numbers.

torch-fidelity gives the blocks as that network has them, which differ from torchvision's in their poolings. The
resizing is ours: `clean`, as Parmar et al. (CVPR 2022) ask for, and not that network's own, which aliases.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.features.sharing import shared
from dmdnet.ops.precision import full_float32_products
from dmdnet.weights import find_weights, read_state

SIDE = 299
WIDTH = 2048
_WEIGHTS = "inception_fid"  # by the names of dmdnet.weights


class InceptionFeatures(nn.Module):
    """The network up to its last pooling; frozen.

    Args:
        weights_folder: where the weights are (None: the usual folder).

    Raises:
        ConfigError: torch-fidelity is not installed.
        WeightsError: the weights are missing or are not those of this network.
    """

    def __init__(self, weights_folder: str | None) -> None:
        super().__init__()
        path = find_weights(_WEIGHTS, weights_folder)
        with torch.device("meta"):
            self.layers = _layers(_blocks())
        state = {key: value for key, value in read_state(path).items() if not key.startswith("fc.")}
        try:
            self.layers.load_state_dict({key: _full(value) for key, value in state.items()}, assign=True)
        except RuntimeError as error:
            raise WeightsError(
                f"{path}: these are not the weights of FID's Inception network; download the file again"
            ) from error
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> InceptionFeatures:
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, picture_BCHW: Tensor) -> Tensor:
        """Return float32 (B, 2048) of uint8 RGB pictures of any size."""
        if picture_BCHW.device.type == "cpu":  # one by one: larger parts leave the caches
            return torch.cat([self._features(picture) for picture in picture_BCHW.split(1)])
        return self._features(picture_BCHW)

    def _features(self, picture_BCHW: Tensor) -> Tensor:
        with full_float32_products(picture_BCHW.device):
            image = (clean_resize(picture_BCHW) - 128.0) / 128.0
            features: Tensor = self.layers(image.contiguous(memory_format=torch.channels_last))
        return features.mean(dim=(2, 3))


def load_inception(weights_folder: str | None) -> InceptionFeatures:
    """Return the network, which all that ask for it share; see `InceptionFeatures` for the errors."""
    path = find_weights(_WEIGHTS, weights_folder).resolve()
    return shared(("inception", path), lambda: InceptionFeatures(weights_folder))


def clean_resize(picture_BCHW: Tensor) -> Tensor:
    """Return uint8 pictures as float32 (B,3,299,299), about [0, 255], neither limited nor rounded.

    The bicubic filter is widened by the factor of the reduction, as Pillow's is on channels of floating-point numbers.
    """
    picture = picture_BCHW.float()
    if picture.shape[-2:] == (SIDE, SIDE):
        return picture
    return functional.interpolate(picture, size=(SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True)


def _blocks() -> Any:
    try:
        return importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    except ImportError as error:
        raise ConfigError(
            f"FID and KID need torch-fidelity, which cannot be imported ({error}): pip install torch-fidelity"
        ) from error


def _layers(blocks: Any) -> nn.Sequential:
    """Return the network of table 1 in Szegedy et al., CVPR 2016, by the names of its weights."""
    table = {
        "Conv2d_1a_3x3": blocks.BasicConv2d(3, 32, kernel_size=3, stride=2),
        "Conv2d_2a_3x3": blocks.BasicConv2d(32, 32, kernel_size=3),
        "Conv2d_2b_3x3": blocks.BasicConv2d(32, 64, kernel_size=3, padding=1),
        "MaxPool_1": nn.MaxPool2d(3, stride=2),
        "Conv2d_3b_1x1": blocks.BasicConv2d(64, 80, kernel_size=1),
        "Conv2d_4a_3x3": blocks.BasicConv2d(80, 192, kernel_size=3),
        "MaxPool_2": nn.MaxPool2d(3, stride=2),
        "Mixed_5b": blocks.InceptionA(192, pool_features=32),
        "Mixed_5c": blocks.InceptionA(256, pool_features=64),
        "Mixed_5d": blocks.InceptionA(288, pool_features=64),
        "Mixed_6a": blocks.InceptionB(288),
        "Mixed_6b": blocks.InceptionC(768, channels_7x7=128),
        "Mixed_6c": blocks.InceptionC(768, channels_7x7=160),
        "Mixed_6d": blocks.InceptionC(768, channels_7x7=160),
        "Mixed_6e": blocks.InceptionC(768, channels_7x7=192),
        "Mixed_7a": blocks.InceptionD(768),
        "Mixed_7b": blocks.InceptionE_1(1280),
        "Mixed_7c": blocks.InceptionE_2(2048),
    }
    layers = nn.Sequential()
    for name, layer in table.items():
        layers.add_module(name, layer)
    return layers


def _full(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
