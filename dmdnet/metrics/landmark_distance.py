"""Distance of facial landmarks between the restored picture and the target (LMD)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from dmdnet.errors import FaceError
from dmdnet.faces.backend import DEFAULT_BACKEND, FaceBackend, get_backend
from dmdnet.faces.landmarks import NUM_LANDMARKS
from dmdnet.faces.template import face_box_of
from dmdnet.images import to_hwc
from dmdnet.metrics.base import Metric, MetricInput
from dmdnet.metrics.face_places import (
    NOT_FOUND,
    UNKNOWN,
    pred_landmarks,
    ready_backend,
    remembered,
    remembered_landmarks,
)
from dmdnet.metrics.regions import pair
from dmdnet.registry import METRICS

_OUTER_CORNERS = (36, 45)


@METRICS.register()
class LandmarkDistance(Metric):
    """Mean distance of the 68 landmarks that one predictor finds on the restored picture and on the target.

    The same predictor looks at both pictures, so that its own habits do not count: a perfect picture scores 0. It runs
    on the CPU where the back end is dlib.

    Args:
        unit: `pixels` of the picture, as papers print it: at 512 pixels, twice what it would be at 256; or
            `outer_eyes`: in distances between the target's outer corners of the eyes.
        box: where the predictor looks: in the `target`'s box on both pictures, so that no detector can fail; or
            where the face is `found` on each, as other evaluations do; then a picture on which no face is found has no
            value.
        face_backend: the predictor, and the detector.
    """

    higher_is_better: ClassVar[bool] = False
    needs = frozenset({"target", "landmarks"})

    def __init__(
        self,
        *,
        unit: Literal["pixels", "outer_eyes"] = "pixels",
        box: Literal["target", "found"] = "target",
        face_backend: str = DEFAULT_BACKEND,
    ) -> None:
        super().__init__()
        self.unit = unit
        self.box = box
        self.face_backend = face_backend
        self.undefined = {"target": UNKNOWN, "found": f"{UNKNOWN}, or {NOT_FOUND}"}[box]
        place = {"target": "target-box", "found": "found"}[box]
        self.recipe = f"lmd@{face_backend}68/{place}/{unit.replace('_', '-')}"

    def prepare(self, weights_folder: str | None) -> None:
        """Load the face back end; see `Metric.prepare`."""
        ready_backend(self.face_backend)

    def forward(self, inputs: MetricInput) -> Tensor:
        """Return distances (B,); see `Metric.forward`."""
        pred_BCHW, target_BCHW = pair(self.recipe, inputs)
        given_B682 = pred_landmarks(self.recipe, inputs, "target", self.face_backend)
        pred_B682 = self._measure(inputs.pred_memo, pred_BCHW, given_B682)
        target_B682 = self._measure(inputs.target_memo, target_BCHW, given_B682)
        distance_B = (pred_B682.double() - target_B682.double()).norm(dim=2).mean(dim=1)
        if self.unit == "pixels":
            return distance_B
        left, right = _OUTER_CORNERS
        width_B = (target_B682[:, right].double() - target_B682[:, left].double()).norm(dim=1)
        return torch.where(width_B > 0, distance_B / width_B, torch.nan)

    def _measure(self, memo: dict[Hashable, Any], pictures_BCHW: Tensor, given_B682: Tensor) -> Tensor:
        if self.box == "found":
            return remembered_landmarks(memo, pictures_BCHW, self.face_backend)
        backend = get_backend(self.face_backend)
        key = ("landmarks in box", self.face_backend)
        return remembered(memo, key, lambda: landmarks_in_box(backend, pictures_BCHW, given_B682))


def landmarks_in_box(backend: FaceBackend, pictures_BCHW: Tensor, given_B682: Tensor) -> Tensor:
    """Return the landmarks that the back end measures where the given ones say that the face is, (B, 68, 2) float32.

    NaN where none are given, or where they lie outside the picture.
    """
    found = torch.full((len(pictures_BCHW), NUM_LANDMARKS, 2), torch.nan)
    for index, (rgb, given) in enumerate(zip(to_hwc(pictures_BCHW), given_B682.cpu().numpy(), strict=True)):
        if np.isfinite(given).all():
            try:
                found[index] = torch.from_numpy(backend.landmarks_in(rgb, face_box_of(given)))
            except FaceError:
                continue  # the row stays NaN
    return found.to(pictures_BCHW.device)
