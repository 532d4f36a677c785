"""From a record to a picture with its landmarks: the one place where data sets touch storage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dmdnet.data.records import FaceRecord
from dmdnet.errors import DataError, FaceError
from dmdnet.faces.backend import find_face, get_backend
from dmdnet.faces.boxes import check_boxes, clip_boxes
from dmdnet.faces.component_boxes import component_boxes
from dmdnet.faces.landmarks import LEFT_EYE, RIGHT_EYE, flip_landmarks, read_landmarks, write_landmarks
from dmdnet.images import read_image


@dataclass(frozen=True)
class Face:
    """An aligned face: uint8 RGB (S, S, 3) and landmarks (68, 2) in its pixels. Never changed in place."""

    image: np.ndarray
    landmarks: np.ndarray
    name: str

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""
        return self.image.shape[0]

    def flipped(self) -> Face:
        """Return the face mirrored left to right."""
        image = np.ascontiguousarray(self.image[:, ::-1])
        return Face(image, flip_landmarks(self.landmarks, self.size), self.name)

    def boxes(self) -> np.ndarray:
        """Return the component boxes, int32 (4, 4), limited to the picture.

        Raises:
            BoxError: a component's box is outside or too small for the network; the message names the picture.
        """
        return check_boxes(boxes_of(self.landmarks, self.size), self.size, self.name)


def boxes_of(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Return the component boxes (4, 4) int32 of landmarks (68, 2) in a picture of `size` pixels, limited to it."""
    return clip_boxes(component_boxes(landmarks[None], size)[0], size)


class FaceReader:
    """Reads faces at one size.

    Args:
        image_size: side of the pictures that come out; others are resized (area down, Lanczos up).
        landmark_cache: folder for landmarks that have to be made; by default they go where the record expects them.
        face_backend: which back end makes missing landmarks.
    """

    def __init__(self, *, image_size: int, landmark_cache: str | None = None, face_backend: str = "dlib") -> None:
        self.image_size = image_size
        self.landmark_cache = Path(landmark_cache) if landmark_cache else None
        self.face_backend = face_backend

    def read(self, record: FaceRecord) -> Face:
        """Return the face of a record.

        Raises:
            DataError: the picture or its landmarks cannot be read, or no face is found to make them from.
        """
        image = read_image(record.path)
        height, width = image.shape[:2]
        if height != width:
            raise DataError(f"{record.path}: {width} x {height} pixels; aligned faces are square. Align it first")
        landmarks = self._landmarks(record, image)
        _check_plausible(landmarks, width, record.path)
        return Face(*resize_face(image, landmarks, self.image_size), record.name)

    def _landmarks(self, record: FaceRecord, image: np.ndarray) -> np.ndarray:
        if record.landmarks.is_file():
            return read_landmarks(record.landmarks)
        made = self.landmark_cache / f"{record.name}.txt" if self.landmark_cache else record.landmarks
        if made.is_file():
            return read_landmarks(made)
        landmarks = self._find_landmarks(record, image, made)
        try:
            made.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"{made.parent}: the folder for landmarks cannot be made ({error.strerror}); "
                "give the data set a landmark_cache that is writable"
            ) from error
        write_landmarks(made, landmarks)
        return read_landmarks(made)  # as the next reader gets them: rounded to the precision of the file

    def _find_landmarks(self, record: FaceRecord, image: np.ndarray, made: Path) -> np.ndarray:
        try:
            return find_face(get_backend(self.face_backend), image, record.path).landmarks
        except FaceError as error:
            raise DataError(
                f"{record.path}: it has no landmark file ({record.landmarks}) and landmarks could not be made: "
                f"{error}. Write 68 lines 'x y' to {made}, or take the picture out of the data"
            ) from error


def _check_plausible(landmarks: np.ndarray, width: int, path: Path) -> None:
    if not ((landmarks > -width) & (landmarks < 2 * width)).all():
        raise DataError(f"{path}: its landmarks lie far outside the {width} x {width} picture; are they another one's?")
    if landmarks[LEFT_EYE, 0].mean() >= landmarks[RIGHT_EYE, 0].mean():
        raise DataError(
            f"{path}: in its landmarks the eyes are swapped; points 37 to 42 belong to the eye on the picture's left"
        )


def resize_face(image: np.ndarray, landmarks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a square picture and its landmarks at `size` pixels; pixel centres are at whole numbers."""
    old = image.shape[0]
    if old == size:
        return image, landmarks
    interpolation = cv2.INTER_AREA if old > size else cv2.INTER_LANCZOS4
    return cv2.resize(image, (size, size), interpolation=interpolation), (landmarks + 0.5) * (size / old) - 0.5
