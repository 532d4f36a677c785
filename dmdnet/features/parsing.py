"""Which pixels of an aligned face are which part of it: facexlib's ParseNet."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.features.sharing import shared
from dmdnet.ops.precision import full_float32_products
from dmdnet.weights import find_weights, read_state

SIDE = 512
# CelebAMask-HQ's classes in the order of the network's output
CLASSES = (
    *("background", "skin", "nose", "glasses", "left_eye", "right_eye", "left_brow", "right_brow", "left_ear"),
    *("right_ear", "mouth", "upper_lip", "lower_lip", "hair", "hat", "earring", "necklace", "neck", "cloth"),
)
# The face without hair and what is worn, but with glasses
FACE = frozenset(CLASSES[1:13])


class FaceParser(nn.Module):
    """Gives the class of every pixel, by number in `CLASSES`, of pictures of FFHQ-aligned faces.

    Args:
        network: maps RGB pictures (B, 3, 512, 512) in [-1, 1] to logits (B, 19, 512, 512), or to a tuple that begins
            with them.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        face = torch.tensor([name in FACE for name in CLASSES])
        self.is_face = nn.Buffer(face, persistent=False)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return int64 (B, H, W) for RGB pictures in [-1, 1]; other sizes than 512 are resized there and back."""
        size = image_BCHW.shape[2:]
        with torch.no_grad(), full_float32_products(image_BCHW.device):
            image = image_BCHW.float()
            if size != (SIDE, SIDE):
                image = F.interpolate(image, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
            logits = self.network(image)
            classes = (logits if isinstance(logits, Tensor) else logits[0]).argmax(dim=1)
        if size == (SIDE, SIDE):
            return classes
        return F.interpolate(classes[:, None].float(), size, mode="nearest-exact")[:, 0].long()

    def face_mask(self, image_BCHW: Tensor) -> Tensor:
        """Return bool (B, H, W): skin, ears, nose, mouth, lips, brows, eyes and glasses."""
        return self.is_face[self(image_BCHW)]


def load_parser(weights_folder: str | None) -> FaceParser:
    """Return the network with its weights, frozen; everyone who asks for it gets the same one.

    Raises:
        ConfigError: facexlib is not installed.
        WeightsError: the weights are missing, unreadable, or those of another network.
    """
    path = find_weights("parsenet", weights_folder).resolve()
    return shared(("parsenet", path), lambda: FaceParser(_load(path)))


def _load(path: Path) -> nn.Module:
    try:
        module = importlib.import_module("facexlib.parsing.parsenet")
    except ImportError as error:
        raise ConfigError(
            f"parsing faces needs facexlib, which cannot be imported ({error}): pip install facexlib"
        ) from error
    with torch.device("meta"):
        network: nn.Module = module.ParseNet(in_size=SIDE, out_size=SIDE, parsing_ch=len(CLASSES))
    state = {key.removeprefix("module."): value.float() if value.is_floating_point() else value
             for key, value in read_state(path).items()}  # fmt: skip
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{path}: these are not weights of ParseNet; download the file again") from error
    return network
