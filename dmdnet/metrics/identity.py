"""Identity similarity: the cosine of the face embeddings of the restored picture and the target, or the references."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from dmdnet.errors import ConfigError
from dmdnet.faces.backend import DEFAULT_BACKEND
from dmdnet.faces.template import template_landmarks
from dmdnet.features.arcface import FaceEmbedding
from dmdnet.features.face_crop import centre_chip, five_point_chip
from dmdnet.features.recognisers import Recogniser, load_recogniser
from dmdnet.images import to_float
from dmdnet.metrics.face_places import Landmarks, ready_backend
from dmdnet.metrics.faces import Against, FaceComparison
from dmdnet.ops.precision import full_float32_products
from dmdnet.registry import METRICS


@METRICS.register()
class IdentitySimilarity(FaceComparison):
    """Cosine of ArcFace embeddings, from -1 to 1; higher is more alike. IDS in the literature.

    Numbers of different recognisers, crops or alignments are not comparable; a method that was trained with a
    recogniser should be judged by another one. Similarity to the target and to the references rank methods
    differently: report both.

    Args:
        recogniser: `w600k_r50` is insightface's of the pack buffalo_l, which ReF-LDM was trained with; `ir_se50` is
            facexlib's, which our IdentityLoss trains with. Both need their weights (`python -m dmdnet weights`), the
            first `pip install onnx`, the second facexlib as well.
        crop: `5pt` turns and scales the face to ArcFace's template by its landmarks, averaging where it shrinks:
            insightface's own single samples alias on pictures of 512 pixels. `centre` is ReF-LDM's middle
            [6.25 %, 93.75 %) of each side (448 of 512 pixels) with no alignment: faces in FFHQ's frame are a sixth
            too small in it.
        against: the `target`, or the `references`: the mean over those of the person, whichever the method was given.
        landmarks: where the face of the restored picture is with `5pt`: at the `target`'s landmarks, so that no
            detector can fail on it, or `found` on it and on the target, as other evaluations do; then a restored
            picture on which no face is found has no value. References keep their own landmarks.
        face_backend: what finds it.

    Raises:
        ConfigError: `landmarks: found` with `crop: centre`, which takes no landmarks.
    """

    embedding: FaceEmbedding

    def __init__(
        self,
        *,
        recogniser: Recogniser = "w600k_r50",
        crop: Literal["5pt", "centre"] = "5pt",
        against: Against = "target",
        landmarks: Landmarks = "target",
        face_backend: str = DEFAULT_BACKEND,
    ) -> None:
        super().__init__(against=against, landmarks=landmarks, face_backend=face_backend, aligned=crop == "5pt")
        if landmarks == "found" and not self.aligned:
            raise ConfigError("IdentitySimilarity: crop: centre takes no landmarks; leave out landmarks: found")
        self.recogniser: Recogniser = recogniser
        self.crop = crop
        name = "ids" if against == "target" else "ids_ref"
        self.recipe = f"{name}@{recogniser}/" + (f"5pt/{self.place_name}" if self.aligned else "center448area")

    def prepare(self, weights_folder: str | None) -> None:
        """Load the recogniser; see `Metric.prepare`."""
        self.embedding = load_recogniser(self.recogniser, weights_folder)
        if self.aligned and self.landmarks == "found":
            ready_backend(self.face_backend)

    @property
    def key(self) -> Hashable:
        """The network and what it sees."""
        return self.embedding, self.crop

    def describe(self, pictures_NCHW: Tensor, landmarks_N682: Tensor | None) -> Tensor:
        """Return embeddings (N, D) of length 1, NaN where the landmarks are."""
        picture = to_float(pictures_NCHW)
        if landmarks_N682 is None:
            return self._embed(centre_chip(picture))
        known_N = landmarks_N682.isfinite().flatten(1).all(dim=1)
        stand_in = torch.from_numpy(template_landmarks(picture.shape[-1])).to(landmarks_N682)
        place = torch.where(known_N[:, None, None], landmarks_N682, stand_in)
        with full_float32_products(picture.device):  # places of landmarks are products, too
            chip = five_point_chip(picture, place)
        return torch.where(known_N[:, None], self._embed(chip), torch.nan)

    def _embed(self, chip_NCHW: Tensor) -> Tensor:
        with full_float32_products(chip_NCHW.device):
            found: Tensor = self.embedding(chip_NCHW)
        return found

    def compare(self, one_ND: Tensor, other_ND: Tensor) -> Tensor:
        """Return cosines (N,)."""
        return F.cosine_similarity(one_ND, other_ND, dim=1)
