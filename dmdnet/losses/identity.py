"""How far the restored face's identity is from the target's: one minus the cosine of their embeddings.

Source: ArcFace (Deng et al., CVPR 2019) as an identity-preserving loss, as GFPGAN (Wang et al., CVPR 2021, eq. 6) and
ReF-LDM (Hsiao et al., NeurIPS 2024) use one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dmdnet.features.arcface import FaceEmbedding, load_arcface
from dmdnet.features.face_crop import CHIP_POINTS, FaceCrop, aligned_chip, centre_chip
from dmdnet.losses.base import Loss, LossInput
from dmdnet.registry import LOSSES


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
