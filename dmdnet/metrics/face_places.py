"""Where faces are: at the target's landmarks, or found on the picture that is scored.

Shapes: B batch, N pictures, C channels, H W pixels, 68 landmarks x 2.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from dmdnet.errors import ConfigError, DataError, FaceError
from dmdnet.faces.backend import FaceBackend, find_face, get_backend
from dmdnet.faces.landmarks import NUM_LANDMARKS
from dmdnet.images import to_hwc
from dmdnet.metrics.base import MetricInput
from dmdnet.weights import note_used

Landmarks = Literal["target", "found"]

NOT_FOUND = "no face is found on the restored picture"
UNKNOWN = "the target's landmarks are not known"

_T = TypeVar("_T")


def ready_backend(name: str) -> FaceBackend:
    """Return the face back end, for `Metric.prepare`.

    Raises:
        ConfigError: there is none of this name, or its package or weights are missing.
    """
    try:
        backend = get_backend(name)
        note_used(getattr(backend, "files", ()))  # the back end was perhaps loaded long ago
        return backend
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
