"""The network of DISTS (Ding et al., TPAMI 2020): VGG16 with other poolings, and the weights of its features.

The weights of the features come from a file in torchmetrics; VGG16's from our weights folder.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.features.sharing import shared
from dmdnet.weights import find_weights, read_state

# Convolutions and channels of VGG16's blocks; features are taken after the last ReLU of each.
_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_C = 1e-6  # of both similarities


class DISTSFeatures(nn.Module):
    """The picture and the five blocks' features, and how two pictures are compared by them; frozen.

    Args:
        weights_folder: where VGG16's weights are (None: the usual folder).

    Raises:
        ConfigError: torchmetrics, which brings the weights of the features, is not installed.
        WeightsError: VGG16's weights are missing or are not its own.
    """

    def __init__(self, weights_folder: str | None) -> None:
        super().__init__()
        path = find_weights("vgg16", weights_folder)
        state = read_state(path)
        self.blocks = nn.ModuleList()
        index, channels_in = 0, 3
        for count, channels in _BLOCKS:
            block = nn.Sequential()
            for _ in range(count):
                block.append(_convolution(state, index, channels_in, channels, path))
                block.append(nn.ReLU())
                index, channels_in = index + 2, channels
            self.blocks.append(block)
            index += 1  # torchvision's pooling
        self.widths = (3, *(channels for _, channels in _BLOCKS))
        alpha, beta = _feature_weights(sum(self.widths))
        self.alpha, self.beta = nn.Buffer(alpha), nn.Buffer(beta)
        self.mean = nn.Buffer(torch.tensor(_IMAGENET_MEAN).view(1, 3, 1, 1))
        self.std = nn.Buffer(torch.tensor(_IMAGENET_STD).view(1, 3, 1, 1))
        self.window = nn.Buffer(torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16)
        self.requires_grad_(False)

    def forward(self, image_BCHW: Tensor) -> list[Tensor]:
        """Return the picture itself and the features of each block; float32 RGB in [0, 1]."""
        features = [image_BCHW]
        x = (image_BCHW - self.mean) / self.std
        for number, block in enumerate(self.blocks):
            x = block(self._pooled(x) if number else x)
            features.append(x)
        return features

    def distance(self, pred: list[Tensor], target: list[Tensor]) -> Tensor:
        """Return the distance of two pictures by their features, (B,) (equations 7 to 9 of the paper)."""
        total = pred[0].new_zeros(len(pred[0]))
        weights = zip(self.alpha.split(self.widths), self.beta.split(self.widths), strict=True)
        for x, y, (alpha, beta) in zip(pred, target, weights, strict=True):
            x, y = x.flatten(2), y.flatten(2)
            mean_x, mean_y = x.mean(dim=2), y.mean(dim=2)
            texture = (2 * mean_x * mean_y + _C) / (mean_x**2 + mean_y**2 + _C)
            x, y = x - mean_x[..., None], y - mean_y[..., None]
            variances = x.square().mean(dim=2) + y.square().mean(dim=2)
            structure = (2 * (x * y).mean(dim=2) + _C) / (variances + _C)
            total = total + (alpha * (1 - texture) + beta * (1 - structure)).sum(dim=1)
        return total

    def _pooled(self, x: Tensor) -> Tensor:
        """Return the features at half their size: the root of the windowed mean of squares."""
        kernel = self.window.expand(x.shape[1], 1, 3, 3)
        blurred = functional.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1])
        return (blurred + 1e-12).sqrt()


def load_dists(weights_folder: str | None) -> DISTSFeatures:
    """Return the network, which all that ask for it share; see `DISTSFeatures` for the errors."""
    path = find_weights("vgg16", weights_folder).resolve()
    return shared(("dists", path), lambda: DISTSFeatures(weights_folder))


def _convolution(state: Mapping[str, Tensor], index: int, channels_in: int, channels: int, path: Path) -> nn.Conv2d:
    with torch.device("meta"):
        layer = nn.Conv2d(channels_in, channels, 3, padding=1)
    for kind, parameter in dict(layer.named_parameters()).items():
        found = state.get(f"features.{index}.{kind}")
        if found is None or found.shape != parameter.shape:
            raise WeightsError(
                f"{path}: has no features.{index}.{kind} of shape {tuple(parameter.shape)}; it is not torchvision's "
                "VGG16: download it again"
            )
        setattr(layer, kind, nn.Parameter(found.float(), requires_grad=False))
    return layer


def _feature_weights(count: int) -> tuple[Tensor, Tensor]:
    """Return alpha and beta, (count,) each; together they are 1."""
    package = importlib.util.find_spec("torchmetrics")  # not imported: only a file in it is wanted
    folders = (package.submodule_search_locations or []) if package else []
    paths = [Path(folder) / "functional" / "image" / "dists_models" / "weights.pt" for folder in folders]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise ConfigError("DISTS needs torchmetrics, which brings its weights: pip install 'torchmetrics>=1.6'")
    state = read_state(path)
    alpha, beta = (state[name].float().flatten() for name in ("alpha", "beta"))
    if len(alpha) != count or len(beta) != count:
        raise WeightsError(f"{path}: not the weights of DISTS; install torchmetrics again")
    total = alpha.sum() + beta.sum()
    return alpha / total, beta / total
