"""What metrics of faces share: where a face is, and comparing a vector of each with the target's or the references'.

Shapes: B batch, R references, N faces, D dimensions, C channels, H W pixels, 68 landmarks x 2.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from dmdnet.errors import ConfigError, DataError, FaceError
from dmdnet.faces.backend import FaceBackend, find_face, get_backend
from dmdnet.faces.landmarks import NUM_LANDMARKS
from dmdnet.images import to_hwc
from dmdnet.metrics.base import Metric, MetricInput, Need
from dmdnet.metrics.regions import check_pictures

Against = Literal["target", "references"]
Landmarks = Literal["target", "found"]

NOT_FOUND = "no face is found on the restored picture"
UNKNOWN = "the target's landmarks are not known"
NO_REFERENCE = "the person has no reference whose landmarks are known"
_FACES_AT_A_TIME = 16  # references of a batch may be many; each takes about ten megabytes while it is cut out

_T = TypeVar("_T")


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
        owner_N, refs_ND = remembered(inputs.target_memo, (self.key, "references"), lambda: self._references(inputs))
        value_N = self.compare(pred_BD[owner_N], refs_ND)
        known_N = value_N.isfinite()
        zero_B = torch.zeros(len(pred_BD), dtype=torch.float64, device=value_N.device)
        count_B = zero_B.index_add(0, owner_N, known_N.double())
        total_B = zero_B.index_add(0, owner_N, torch.where(known_N, value_N, 0.0))
        return torch.where(count_B > 0, total_B / count_B.clamp(min=1), torch.nan)

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
        """Return which picture of the batch each reference belongs to (N,), and the vector of each (N, D)."""
        refs = inputs.references
        if refs is None:
            raise DataError(f"{self.recipe}: needs references, which this set does not have")
        owner_N, row_N = refs.mask_BR.to(refs.images_BRCHW.device).nonzero(as_tuple=True)
        place = None
        if self.aligned:
            if refs.landmarks_BR682 is None:
                raise DataError(f"{self.recipe}: needs the references' landmarks, which this set does not have")
            place = refs.landmarks_BR682[owner_N, row_N]
        return owner_N, self._in_parts(refs.images_BRCHW[owner_N, row_N], place)

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


def ready_backend(name: str) -> FaceBackend:
    """Return the face back end, for `Metric.prepare`.

    Raises:
        ConfigError: there is none of this name, or its package or weights are missing.
    """
    try:
        return get_backend(name)
    except FaceError as error:
        raise ConfigError(str(error)) from error


def pred_landmarks(recipe: str, inputs: MetricInput, which: Landmarks, face_backend: str) -> Tensor:
    """Return where the restored faces are, (B, 68, 2); NaN where that is not known.

    `target` takes the landmarks of the target, so that a bad restoration cannot fail a detector; `found` looks for the
    face on each restored picture.
    """
    if which == "found":
        return remembered_landmarks(inputs.pred_memo, inputs.pred_BCHW, face_backend)
    if inputs.landmarks_B682 is None:
        raise DataError(f"{recipe}: needs landmarks, which this set does not have; give them to the data set")
    return inputs.landmarks_B682


def remembered_landmarks(memo: dict[Hashable, Any], pictures_NCHW: Tensor, face_backend: str) -> Tensor:
    """Return `found_landmarks` of the pictures that a memo belongs to; looked for once."""
    backend = get_backend(face_backend)
    return remembered(memo, ("landmarks", face_backend), lambda: found_landmarks(backend, pictures_NCHW))


def found_landmarks(backend: FaceBackend, pictures_NCHW: Tensor) -> Tensor:
    """Return the landmarks of the largest face of each uint8 picture, (N, 68, 2) float32; NaN where none is found."""
    found = torch.full((len(pictures_NCHW), NUM_LANDMARKS, 2), torch.nan)
    for index, rgb in enumerate(to_hwc(pictures_NCHW)):
        try:
            found[index] = torch.from_numpy(find_face(backend, rgb).landmarks)
        except FaceError:
            continue  # the row stays NaN: the picture is counted as one without a value
    return found.to(pictures_NCHW.device)


def remembered(memo: dict[Hashable, Any], key: Hashable, make: Callable[[], _T]) -> _T:
    """Return what a memo has under the key; made when it is not there."""
    if key not in memo:
        memo[key] = make()
    found: _T = memo[key]
    return found
