"""How far the restored face's identity is from the target's: one minus the cosine of their embeddings.

Source: ArcFace (Deng et al., CVPR 2019) as an identity-preserving loss, as GFPGAN (Wang et al., CVPR 2021, eq. 6) and
ReF-LDM (Hsiao et al., NeurIPS 2024) use one.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.losses.base import Loss, LossInput
from dmdnet.losses.face_crop import CHIP_POINTS, FaceCrop, aligned_chip, centre_chip
from dmdnet.ops.precision import without_autocast
from dmdnet.registry import LOSSES
from dmdnet.weights import find_weights, read_state


class FaceEmbedding(nn.Module):
    """A frozen face recogniser on pictures of 112 pixels.

    Args:
        recogniser: maps BGR pictures (B, 3, 112, 112) in [-1, 1] to embeddings (B, N).
    """

    def __init__(self, recogniser: nn.Module) -> None:
        super().__init__()
        self.recogniser = recogniser.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> FaceEmbedding:
        """Stay in evaluation mode: statistics of a batch would let its samples see each other."""
        return super().train(False)

    def forward(self, chip_BCHW: Tensor) -> Tensor:
        """Return embeddings of length 1, (B, N), of RGB pictures; in float32, since fifty layers in bfloat16 would
        blur what is left of the angle between two pictures of one person."""
        with without_autocast(chip_BCHW.device):
            found: Tensor = self.recogniser(chip_BCHW.float().flip(1))
            return found / found.norm(dim=1, keepdim=True).clamp(min=1e-12)


@LOSSES.register()
class IdentityLoss(Loss):
    """One minus the cosine of the face embeddings of restored picture and target, from 0 to 2.

    The network is facexlib's ArcFace (IR-SE-50). It needs that package and its weights (`python -m dmdnet weights`).
    Who trains with a recogniser should measure identity with another one.

    Args:
        crop: what the recogniser sees: "aligned" turns and scales the face to ArcFace's template by the target's
            boxes; "centre" is ReF-LDM's middle [6.25 %, 93.75 %) of each side, for pictures that are FFHQ-aligned.

    `prepare` raises WeightsError where the weights are not in the weights folder.
    """

    embedding: FaceEmbedding

    def __init__(self, *, crop: FaceCrop = "aligned", loss_weight: float = 1.0, start_iter: int = 0) -> None:
        super().__init__(loss_weight=loss_weight, start_iter=start_iter)
        self.crop: FaceCrop = crop
        self.template = nn.Buffer(torch.tensor(CHIP_POINTS))  # where the pictures are: nothing is sent in a step

    def prepare(self, losses: Sequence[Loss], weights_folder: str | None) -> None:
        """Load one network for all losses of the kind."""
        first = next(loss for loss in losses if isinstance(loss, IdentityLoss))
        self.embedding = FaceEmbedding(load_arcface(weights_folder)) if first is self else first.embedding

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the term of each sample, (B,)."""
        memo, key = inputs.target_memo, (self.embedding, self.crop)
        if key not in memo:
            with torch.no_grad():
                memo[key] = self._embed(inputs.target_BCHW, inputs)
        return 1 - (self._embed(inputs.pred_BCHW, inputs) * memo[key]).sum(dim=1)

    def _embed(self, image_BCHW: Tensor, inputs: LossInput) -> Tensor:
        if self.crop == "aligned":
            chip = aligned_chip(image_BCHW, inputs.boxes_B44, self.template)
        else:
            chip = centre_chip(image_BCHW)
        found: Tensor = self.embedding(chip)
        return found


def load_arcface(weights_folder: str | None) -> nn.Module:
    """Return facexlib's ArcFace with its weights; nothing is drawn or fetched.

    Raises:
        ConfigError: facexlib is not installed.
        WeightsError: the weights are missing, unreadable, or those of another network.
    """
    path = find_weights("arcface_ir_se50", weights_folder)
    try:
        module = importlib.import_module("facexlib.recognition.arcface_arch")
    except ImportError as error:
        raise ConfigError(
            f"IdentityLoss needs facexlib, which cannot be imported ({error}): pip install facexlib"
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
