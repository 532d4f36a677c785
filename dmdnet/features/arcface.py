"""Face recognisers of the ArcFace family (Deng et al., CVPR 2019): the published networks, frozen."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor, nn

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.ops.precision import without_autocast
from dmdnet.weights import find_weights, read_state


class FaceEmbedding(nn.Module):
    """A frozen face recogniser on pictures of 112 pixels.

    Args:
        recogniser: maps pictures (B, 3, 112, 112) in [-1, 1] to embeddings (B, N).
        bgr: whether it was trained on pictures with red and blue exchanged.
    """

    def __init__(self, recogniser: nn.Module, *, bgr: bool = True) -> None:
        super().__init__()
        self.recogniser = recogniser.eval().requires_grad_(False)
        self.bgr = bgr

    def train(self, mode: bool = True) -> FaceEmbedding:
        """Stay in evaluation mode: statistics of a batch would let its samples see each other."""
        return super().train(False)

    def forward(self, chip_BCHW: Tensor) -> Tensor:
        """Return embeddings of length 1, (B, N), of RGB pictures; in float32, since fifty layers in bfloat16 would
        blur what is left of the angle between two pictures of one person."""
        with without_autocast(chip_BCHW.device):
            chip_BCHW = chip_BCHW.float()
            found: Tensor = self.recogniser(chip_BCHW.flip(1) if self.bgr else chip_BCHW)
            return found / found.norm(dim=1, keepdim=True).clamp(min=1e-12)


def load_arcface(weights_folder: str | None) -> nn.Module:
    """Return facexlib's ArcFace (IR-SE-50) with its weights, for BGR pictures; nothing is drawn or fetched.

    Raises:
        ConfigError: facexlib is not installed.
        WeightsError: the weights are missing, unreadable, or those of another network.
    """
    path = find_weights("arcface_ir_se50", weights_folder)
    try:
        module = importlib.import_module("facexlib.recognition.arcface_arch")
    except ImportError as error:
        raise ConfigError(
            f"ArcFace (IR-SE-50) needs facexlib, which cannot be imported ({error}): pip install facexlib"
        ) from error
    with torch.device("meta"):
        network: nn.Module = module.Backbone(num_layers=50, drop_ratio=0.6, mode="ir_se")
    state = {key.removeprefix("module."): value for key, value in read_state(path).items()}
    try:
        full = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
        network.load_state_dict(full, assign=True)
    except (RuntimeError, AttributeError) as error:
        raise WeightsError(f"{path}: these are not weights of ArcFace (IR-SE-50); download the file again") from error
    return network
