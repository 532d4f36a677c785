"""LPIPS: the learned perceptual distance (Zhang et al., CVPR 2018, eq. 1), of each sample.

The `lpips` package gives the network's class and, in files of its own, the heads (version 0.1); the trunk's weights
come from our weights folder, since the package would fetch them from the network.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.features.sharing import shared
from dmdnet.weights import find_weights, read_state

Trunk = Literal["alex", "vgg"]
_TRUNK_WEIGHTS = {"alex": "alexnet", "vgg": "vgg16"}  # by the names of dmdnet.weights
# Pixels that a side must have, else a layer has nothing left to look at
SMALLEST_SIDE: dict[Trunk, int] = {"alex": 31, "vgg": 16}
_VERSION = "0.1"
_EPS = 1e-10


class LPIPSFeatures(nn.Module):
    """The trunk and the heads of LPIPS; frozen, and without the heads' dropout.

    Args:
        trunk: "alex" or "vgg".
        weights_folder: where the trunk's weights are (None: the usual folder).
        path: a file of the trunk's weights to take in place of the published ones.

    Raises:
        ConfigError: the lpips package is not installed.
        WeightsError: the trunk's weights are missing or are not those of this trunk.
    """

    def __init__(self, trunk: Trunk, weights_folder: str | None, path: Path | None = None) -> None:
        super().__init__()
        path = path or find_weights(_TRUNK_WEIGHTS[trunk], weights_folder)
        package, net = _package_network(trunk)
        self.scale, self.trunk = net.scaling_layer, net.net
        _load_trunk(self.trunk, path)
        heads = read_state(Path(package.__file__).parent / "weights" / f"v{_VERSION}" / f"{trunk}.pth")
        for index in range(net.L):
            self.register_buffer(f"head{index}", heads[f"lin{index}.model.1.weight"].float())
        self.num_layers: int = net.L
        self.requires_grad_(False)

    def forward(self, image_BCHW: Tensor) -> list[Tensor]:
        """Return the features of each layer, of length 1 at each place, float32; RGB pictures in [-1, 1]."""
        image_BCHW = self.scale(image_BCHW)
        if image_BCHW.device.type == "cpu":  # in the order that its convolutions like
            image_BCHW = image_BCHW.contiguous(memory_format=torch.channels_last)
        return [_unit_length(features.float()) for features in self.trunk(image_BCHW)]

    def distance(self, pred: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Return the distance of two pictures by their features, (B,) float32."""
        maps = self.distance_maps(pred, target)
        return torch.stack([distance_BHW.flatten(1).mean(dim=1) for distance_BHW in maps]).sum(dim=0)

    def distance_maps(self, pred: Sequence[Tensor], target: Sequence[Tensor]) -> list[Tensor]:
        """Return what each place adds, (B,h,w) float32 for each layer; the distance is the sum of their means."""
        heads = [self.get_buffer(f"head{index}") for index in range(self.num_layers)]
        return [
            ((one - other).square() * head).sum(dim=1) for one, other, head in zip(pred, target, heads, strict=True)
        ]


def load_lpips(trunk: Trunk, weights_folder: str | None) -> LPIPSFeatures:
    """Return the network, which all that ask for it share; see `LPIPSFeatures` for the errors."""
    path = find_weights(_TRUNK_WEIGHTS[trunk], weights_folder).resolve()
    return shared(("lpips", trunk, path), lambda: LPIPSFeatures(trunk, weights_folder))


def _unit_length(features_BCHW: Tensor) -> Tensor:
    """Divide each place's features by their length; a place without any keeps zeros, and has no gradient.

    The package's own takes the square root of zero there, whose gradient is infinite.
    """
    length = features_BCHW.square().sum(dim=1, keepdim=True).clamp(min=_EPS**2).sqrt()
    return features_BCHW / (length + _EPS)


def _package_network(trunk: Trunk) -> tuple[Any, Any]:
    """Return the package and its network, which has no weights yet: nothing is drawn, read or fetched."""
    try:
        package = importlib.import_module("lpips")
    except ImportError as error:
        raise ConfigError(f"LPIPS needs lpips, which cannot be imported ({error}): pip install lpips") from error
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", UserWarning)  # the package calls torchvision in the manner of an older version
        return package, package.LPIPS(pretrained=False, pnet_rand=True, net=trunk, version=_VERSION, verbose=False)


def _load_trunk(trunk: nn.Module, path: Path) -> None:
    """Give the trunk torchvision's weights: its `slice2.3.weight` is their `features.3.weight`."""
    state = read_state(path)
    found = {key: state.get("features." + key.split(".", 1)[1]) for key in trunk.state_dict()}
    wrong = [
        key.split(".", 1)[1]
        for key, own in trunk.state_dict().items()
        if not isinstance(found[key], Tensor) or found[key].shape != own.shape  # type: ignore[union-attr]
    ]
    if wrong:
        raise WeightsError(
            f"{path}: has no features.{wrong[0]} of the trunk's shape ({len(wrong)} such weights in all); it is not "
            "torchvision's file: download it again"
        )
    trunk.load_state_dict({key: value.float() for key, value in found.items() if value is not None}, assign=True)
