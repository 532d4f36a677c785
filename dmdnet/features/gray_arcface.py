"""The small recogniser that the restoration literature's identity angle (Deg.) is measured with.

A ResNet-18 of improved residual blocks for grey pictures of 128 pixels, trained with ArcFace by github.com/ronghuaiyang
(arcface-pytorch, `resnet18_110`); GFPGAN distributes its weights as arcface_resnet18.pth. The blocks are those of
Deng et al. (CVPR 2019): normalisation, convolution, normalisation, PReLU, convolution, normalisation, the shortcut
added, and the same PReLU again. Names are the weights'.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from dmdnet.errors import WeightsError
from dmdnet.features.sharing import shared
from dmdnet.weights import find_weights, read_state

SIDE = 128
DIMENSIONS = 512
_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # channels and stride of two blocks each


class _Block(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_in, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels:
            shortcut = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        result: Tensor = self.prelu(self.bn2(self.conv2(y)) + self.downsample(x))
        return result


class GrayArcFace(nn.Module):
    """Maps grey pictures (B, 1, 128, 128) in [-1, 1] to embeddings (B, 512), of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU()
        self.maxpool = nn.MaxPool2d(2)
        channels_in = 64
        for number, (channels, stride) in enumerate(_STAGES, start=1):
            blocks = (_Block(channels_in, channels, stride), _Block(channels, channels, 1))
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            channels_in = channels
        self.bn4 = nn.BatchNorm2d(channels_in)
        self.fc5 = nn.Linear(channels_in * (SIDE // 16) ** 2, DIMENSIONS)
        self.bn5 = nn.BatchNorm1d(DIMENSIONS)

    def forward(self, gray_B1HW: Tensor) -> Tensor:
        """Return embeddings (B, 512)."""
        x = self.maxpool(self.prelu(self.bn1(self.conv1(gray_B1HW))))
        for number in range(1, len(_STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        embedding: Tensor = self.bn5(self.fc5(self.bn4(x).flatten(1)))
        return embedding


def load_gray_arcface(weights_folder: str | None) -> GrayArcFace:
    """Return the network with its weights, frozen; everyone who asks for it gets the same one.

    Raises:
        WeightsError: the weights are missing, unreadable, or those of another network.
    """
    path = find_weights("arcface_resnet18", weights_folder).resolve()
    return shared(("gray arcface", path), lambda: _load(path))


def _load(path: Path) -> GrayArcFace:
    with torch.device("meta"):
        network = GrayArcFace()
    state = {key.removeprefix("module."): value.float() if value.is_floating_point() else value
             for key, value in read_state(path).items()}  # fmt: skip
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{path}: these are not weights of arcface_resnet18; download the file again") from error
    return network.requires_grad_(False)
