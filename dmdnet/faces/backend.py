"""What the project asks of a face library: find faces with 68 landmarks, and tell people apart.

A back end is one new file that registers a class in FACE_BACKENDS; nothing else is edited.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from dmdnet.errors import ConfigError, FaceError
from dmdnet.registry import FACE_BACKENDS

DEFAULT_BACKEND = "dlib"


@dataclass(frozen=True)
class Face:
    """A face found in a picture.

    `box` is x0 y0 x1 y1 in pixels of the picture and may reach past its border; `landmarks` are (68, 2) float64,
    x y; `score` grows with the detector's certainty and compares within one back end only.
    """

    box: tuple[int, int, int, int]
    landmarks: np.ndarray
    score: float

    @property
    def width(self) -> int:
        """Width of the box in pixels."""
        return self.box[2] - self.box[0]

    @property
    def area(self) -> int:
        """Area of the box in pixels."""
        return self.width * (self.box[3] - self.box[1])


@runtime_checkable
class FaceBackend(Protocol):
    """A face library. Pictures are uint8 RGB (H, W, 3)."""

    same_person_distance: float
    """Embeddings nearer than this are taken for one person."""

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Return the faces of a picture, the largest first; an empty list when there is none."""
        ...

    def landmarks_in(self, rgb: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
        """Return landmarks (68, 2) float64 of the face in `box` (x0 y0 x1 y1), with no search for it.

        There is always an answer: that a face is there is for the caller to know. The box of a face in FFHQ's frame
        is `dmdnet.faces.template.template_face_box`.

        Raises:
            FaceError: the box lies outside the picture.
        """
        ...

    def embed(self, rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Return the identity of a face as a float64 vector; the Euclidean distance of two tells people apart."""
        ...


@functools.cache
def get_backend(name: str = DEFAULT_BACKEND) -> FaceBackend:
    """Return the back end `name`, loaded once per process.

    Raises:
        FaceError: there is none of this name, or its package or weights are missing.
    """
    try:
        factory = FACE_BACKENDS.get(name)
    except ConfigError as error:
        raise FaceError(str(error)) from None
    backend: FaceBackend = factory()
    device = getattr(backend, "device", None)
    if device is not None and device.type != "cpu" and hasattr(os, "register_at_fork"):
        # what is on a GPU is of no use in a forked process, such as a DataLoader's worker: that loads its own
        os.register_at_fork(after_in_child=get_backend.cache_clear)
    return backend


def find_face(backend: FaceBackend, rgb: np.ndarray, name: object = "picture") -> Face:
    """Return the largest face of a picture that shows one person, such as an aligned face.

    Raises:
        FaceError: no face was found.
    """
    faces = backend.detect(rgb)
    if not faces:
        raise no_face(name, rgb)
    return faces[0]


def no_face(name: object, rgb: np.ndarray) -> FaceError:
    """Return the error for a picture without a face."""
    height, width = rgb.shape[:2]
    return FaceError(
        f"{name}: no face was found in {width} x {height} pixels; faces seen from the front, upright and at least "
        "30 pixels wide are found: turn the picture upright or cut out the face with some room around it"
    )
