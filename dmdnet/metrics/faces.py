"""Comparing a vector of each restored face with the target's or the references'.

Shapes: B batch, R references, N faces, D dimensions, C channels, H W pixels, 68 landmarks x 2.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Hashable
from typing import Literal

import torch
from torch import Tensor

from dmdnet.errors import DataError
from dmdnet.metrics.base import Metric, MetricInput, Need
from dmdnet.metrics.face_places import (
    NOT_FOUND,
    UNKNOWN,
    Landmarks,
    pred_landmarks,
    remembered,
    remembered_landmarks,
)
from dmdnet.metrics.regions import check_pictures

Against = Literal["target", "references"]

NO_REFERENCE = "the person has no reference whose landmarks are known"
_FACES_AT_A_TIME = 16  # references of a batch may be many; each takes about ten megabytes while it is cut out
_KEPT_FACES = 8192  # whose vectors are kept on the host: a few kilobytes each


class FaceComparison(Metric):
    """Compares one vector of each restored face with that of its target, or of each of the person's references.

    Args:
        against: what the restored face is compared with; of several references the mean counts.
        landmarks: where the restored face is: at the target's landmarks, or found on it.
        face_backend: what finds it.
        aligned: whether landmarks are needed at all.
    """

    def __init__(self, *, against: Against, landmarks: Landmarks, face_backend: str, aligned: bool = True) -> None:
        super().__init__()
        self.against: Against = against
        self.landmarks: Landmarks = landmarks
        self.face_backend = face_backend
        self.aligned = aligned
        place: frozenset[Need] = frozenset({"landmarks"} if aligned else ())
        self.needs = frozenset({against}) | place
        reasons = {
            NO_REFERENCE: against == "references",
            UNKNOWN: aligned,
            NOT_FOUND: aligned and landmarks == "found",
        }
        self.undefined = ", or ".join(reason for reason, possible in reasons.items() if possible)
        self._known: dict[bytes, Tensor] = {}

    @property
    def place_name(self) -> str:
        """How recipes name the place of the restored face."""
        return {"target": "target-landmarks", "found": f"found:{self.face_backend}"}[self.landmarks]

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """Names `describe` in the memos: metrics with one key share their vectors."""

    @abstractmethod
    def describe(self, pictures_NCHW: Tensor, landmarks_N682: Tensor | None) -> Tensor:
        """Return a vector for each face of uint8 pictures, (N, D); a row of NaN where there is none.

        `landmarks_N682` (NaN for unknown ones) is None for metrics that are not `aligned`.
        """

    @abstractmethod
    def compare(self, one_ND: Tensor, other_ND: Tensor) -> Tensor:
        """Return the number of each pair of vectors, (N,); NaN where one is."""

    def forward(self, inputs: MetricInput) -> Tensor:
        """Return float64 (B,); see `Metric.forward`."""
        check_pictures(self.recipe, inputs.pred_BCHW, self._counterpart(inputs))
        place_B682 = self._pred_place(inputs)
        pred_BD = remembered(
            inputs.pred_memo, (self.key, self.place_name), lambda: self._in_parts(inputs.pred_BCHW, place_B682)
        )
        if self.against == "target":
            return self.compare(pred_BD, self._target(inputs))
        mask_BR, refs_ND = remembered(inputs.target_memo, (self.key, "references"), lambda: self._references(inputs))
        value_BR = torch.full(mask_BR.shape, torch.nan, dtype=torch.float64, device=pred_BD.device)
        value_BR[mask_BR] = self.compare(pred_BD[mask_BR.nonzero()[:, 0]], refs_ND)
        return value_BR.nanmean(dim=1)

    def _pred_place(self, inputs: MetricInput) -> Tensor | None:
        return pred_landmarks(self.recipe, inputs, self.landmarks, self.face_backend) if self.aligned else None

    def _counterpart(self, inputs: MetricInput) -> Tensor:
        """Return the picture whose size the restored one has to have: its own, where there is no target to ask."""
        if self.against == "target" and inputs.target_BCHW is None:
            raise DataError(f"{self.recipe}: needs the ground truth, which this set does not have")
        return inputs.pred_BCHW if inputs.target_BCHW is None else inputs.target_BCHW

    def _target(self, inputs: MetricInput) -> Tensor:
        target = self._counterpart(inputs)
        place = self._target_place(inputs, target) if self.aligned else None
        key = (self.key, "target", self.place_name)
        return remembered(inputs.target_memo, key, lambda: self._in_parts(target, place))

    def _target_place(self, inputs: MetricInput, target_BCHW: Tensor) -> Tensor:
        """Return the target's landmarks; found on it where they are found on the restored picture, too, so that a
        perfect picture has a perfect score."""
        given_B682 = pred_landmarks(self.recipe, inputs, "target", self.face_backend)
        if self.landmarks == "target":
            return given_B682
        found_B682 = remembered_landmarks(inputs.target_memo, target_BCHW, self.face_backend)
        return torch.where(found_B682.isfinite(), found_B682, given_B682)

    def _references(self, inputs: MetricInput) -> tuple[Tensor, Tensor]:
        """Return where there are references (B, R), and the vector of each of these N, (N, D)."""
        refs = inputs.references
        if refs is None:
            raise DataError(f"{self.recipe}: needs references, which this set does not have")
        mask_BR = refs.mask_BR.to(refs.images_BRCHW.device)
        place = None
        if self.aligned:
            if refs.landmarks_BR682 is None:
                raise DataError(f"{self.recipe}: needs the references' landmarks, which this set does not have")
            place = refs.landmarks_BR682[mask_BR]
        return mask_BR, self._known_or_new(refs.images_BRCHW[mask_BR], place)

    def _known_or_new(self, pictures_NCHW: Tensor, landmarks_N682: Tensor | None) -> Tensor:
        """Return the vectors as `_in_parts` does, and keep them: one picture is a reference of many others.

        On a device nothing is kept: fetching a picture to compare it costs as much as describing it again.
        """
        if pictures_NCHW.device.type != "cpu":
            return self._in_parts(pictures_NCHW, landmarks_N682)
        found = []
        for index, picture in enumerate(pictures_NCHW):
            place = None if landmarks_N682 is None else landmarks_N682[index]
            key = _fingerprint(picture, place)
            if key not in self._known:
                if len(self._known) == _KEPT_FACES:
                    self._known.pop(next(iter(self._known)))
                self._known[key] = self._in_parts(picture[None], None if place is None else place[None])
            found.append(self._known[key])
        return torch.cat(found) if found else self._in_parts(pictures_NCHW, landmarks_N682)

    def _in_parts(self, pictures_NCHW: Tensor, landmarks_N682: Tensor | None) -> Tensor:
        """Return the vectors, float64 (N, D)."""
        # on a CPU several at a time gain nothing, and one at a time gives the same number in any batch
        step = 1 if pictures_NCHW.device.type == "cpu" else _FACES_AT_A_TIME
        parts = [slice(start, start + step) for start in range(0, len(pictures_NCHW), step)]
        found = [
            self.describe(pictures_NCHW[part], None if landmarks_N682 is None else landmarks_N682[part]).double()
            for part in parts
        ]
        return torch.cat(found) if found else torch.zeros(0, 1, dtype=torch.float64, device=pictures_NCHW.device)


def _fingerprint(picture_CHW: Tensor, place_682: Tensor | None) -> bytes:
    digest = hashlib.blake2b(picture_CHW.contiguous().numpy().tobytes(), digest_size=16)
    if place_682 is not None:
        digest.update(place_682.contiguous().numpy().tobytes())
    return digest.digest()
