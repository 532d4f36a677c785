"""Distance of dlib's face embeddings: identity measured with no download."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dmdnet.errors import FaceError
from dmdnet.faces.backend import get_backend
from dmdnet.images import to_hwc
from dmdnet.metrics.face_places import Landmarks, ready_backend
from dmdnet.metrics.faces import Against, FaceComparison
from dmdnet.registry import METRICS

_BACKEND, _DIMENSIONS = "dlib", 128


@METRICS.register()
class DlibIdentityDistance(FaceComparison):
    """Euclidean distance of dlib's 128 numbers for a face; lower is more alike, below 0.6 is taken for one person.

    Its weights come with the package face-recognition-models, so that it needs no download, and no restoration method
    is known to be trained with it. It runs on the CPU.

    Args:
        against: the `target`, or the `references`: the mean over those of the person, whichever the method was given.
        landmarks: where the face of the restored picture is: at the `target`'s landmarks, so that no detector can
            fail on it, or `found` on it and on the target by dlib; then a restored picture on which no face is found
            has no value. References keep their own landmarks.
    """

    higher_is_better: ClassVar[bool] = False

    def __init__(self, *, against: Against = "target", landmarks: Landmarks = "target") -> None:
        super().__init__(against=against, landmarks=landmarks, face_backend=_BACKEND)
        self.recipe = f"{'idd' if against == 'target' else 'idd_ref'}@dlib/68pt/{self.place_name}"

    def prepare(self, weights_folder: str | None) -> None:
        """Load dlib's networks; see `Metric.prepare`."""
        ready_backend(_BACKEND)

    @property
    def key(self) -> Hashable:
        """All metrics of this kind share their embeddings."""
        return "dlib"

    def describe(self, pictures_NCHW: Tensor, landmarks_N682: Tensor | None) -> Tensor:
        """Return dlib's embeddings (N, 128) float64, NaN where there are no landmarks or no picture at them."""
        assert landmarks_N682 is not None, "dlib aligns by landmarks"
        backend = get_backend(_BACKEND)
        found = np.full((len(pictures_NCHW), _DIMENSIONS), np.nan)
        for index, (rgb, landmarks) in enumerate(zip(to_hwc(pictures_NCHW), landmarks_N682.cpu().numpy(), strict=True)):
            if np.isfinite(landmarks).all():
                try:
                    found[index] = backend.embed(rgb, landmarks)
                except FaceError:
                    continue  # the landmarks lie outside the picture: the row stays NaN
        return torch.from_numpy(found).to(pictures_NCHW.device)

    def compare(self, one_ND: Tensor, other_ND: Tensor) -> Tensor:
        """Return distances (N,)."""
        return (one_ND - other_ND).norm(dim=1)
