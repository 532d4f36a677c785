"""From a row of the table to a picture with its landmarks: the one place where data sets read pictures."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from dmdnet.data.faults import Fault, FaultKind
from dmdnet.data.made_landmarks import MadeLandmarks, miss_marker
from dmdnet.data.manifest import Row
from dmdnet.data.storage import Storage
from dmdnet.errors import BoxError, DataError, FaceError, NoLandmarksError
from dmdnet.faces.boxes import check_boxes, clip_boxes
from dmdnet.faces.component_boxes import component_boxes
from dmdnet.faces.landmarks import LEFT_EYE, RIGHT_EYE, check_landmarks, flip_landmarks
from dmdnet.faces.template import TEMPLATE_68, template_landmarks
from dmdnet.images import decode_image

MissingLandmarks = Literal["error", "template"]

_FITS = 0.07  # of the side: aligned faces lie on average 0.025 from the template
_OTHER_SIZE = 0.2  # landmarks of the picture at another size are rarely nearer, alignment never moves faces so far
MAX_FACE_PIXELS = 3072 * 3072  # the most expensive kind of file takes 22 bytes a pixel to decode: 210 MB


@dataclass(frozen=True)
class Face:
    """An aligned face: uint8 RGB (S, S, 3) and landmarks (68, 2) in its pixels. Never changed in place.

    `measured` is False where no landmarks were found and those of the mean face stand in. With a `fault` they stand in
    for drawing and nothing else: no network is to have them.
    """

    image: np.ndarray
    landmarks: np.ndarray
    name: str
    measured: bool = True
    fault: Fault | None = None

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""
        return self.image.shape[0]

    def flipped(self) -> Face:
        """Return the face mirrored left to right."""
        return replace(self, image=cv2.flip(self.image, 1), landmarks=flip_landmarks(self.landmarks, self.size))

    def boxes(self) -> np.ndarray:
        """Return the component boxes, int32 (4, 4), limited to the picture.

        Raises:
            BoxError: a component's box is outside or too small for the network; the message names the picture.
        """
        return check_boxes(boxes_of(self.landmarks, self.size), self.size, self.name)


def faulty(image: np.ndarray, name: str, error: DataError) -> Face:
    """Return a face (S, S, 3) without landmarks of its own; `error` says why."""
    kind: FaultKind = "no_face" if isinstance(error, NoLandmarksError) else "bad_landmarks"
    return Face(image, template_landmarks(image.shape[0]), name, measured=False, fault=Fault(kind, str(error)))


def boxes_of(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Return the component boxes (4, 4) int32 of landmarks (68, 2) in a picture of `size` pixels, limited to it."""
    return clip_boxes(component_boxes(landmarks[None], size)[0], size)


class FaceReader:
    """Reads faces at one size. It may be pickled, and used in any number of processes.

    Landmarks are the row's own, else those of its file, else those of the cache, else they are made and kept; a
    face that is not found is remembered, too, since looking for it is slow.

    Args:
        storage: where the keys of the rows are read.
        image_size: side of the pictures that come out; others are resized (area down, Lanczos up).
        landmark_cache: folder for landmarks that have to be made; by default they go where the row expects them.
        face_backend: what makes missing landmarks.
        verify_checksums: hold every file against its row's CRC-32, else against the storage's, where there is one
            (0.1 ms for 400 KB).
        missing_landmarks: what becomes of a face for which no landmarks can be made: `error`, or `template`: the
            mean landmarks of FFHQ's frame.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        image_size: int,
        landmark_cache: str | None = None,
        face_backend: str = "dlib",
        verify_checksums: bool = False,
        missing_landmarks: MissingLandmarks = "error",
    ) -> None:
        self.storage = storage
        self.image_size = image_size
        self.verify_checksums = verify_checksums
        self.missing_landmarks = missing_landmarks
        self.made = MadeLandmarks(face_backend, landmark_cache)

    def files(self, row: Row, *, degraded: bool = False) -> list[str]:
        """Return the files that a face of the row is read from, those included that are not there.

        Args:
            degraded: those of its degraded picture, too.
        """
        pictures = [row.picture, row.degraded] if degraded else [row.picture]
        found = [self.storage.where(key) for key in pictures if key] + [row.landmark_file]
        for place in dict.fromkeys((self.made.place(row), self.made.place(row, degraded=degraded))):
            found += [place, miss_marker(place)]
        return [path for path in found if path]

    def read(self, row: Row, *, keep_faults: bool = False) -> Face:
        """Return the sharp face of a row.

        Args:
            keep_faults: return a face whose landmarks are missing or no good with its `fault`, and raise nothing.

        Raises:
            DataError: the picture or its landmarks cannot be read or are another's, or no face is found to make
                them from (NoLandmarksError).
        """
        if not row.picture:
            raise DataError(f"{row.name}: has no sharp picture; its data set has degraded pictures only")
        image, data = self._picture(row.picture, row.checksum)

        def face() -> Face:
            landmarks, measured = self._known(row), True
            if landmarks is None:
                landmarks, measured = self._make(row, row.picture, image, data, self.made.place(row))
            return self._face(row, row.picture, image, landmarks, measured)

        return self._keeping(face, row, image) if keep_faults else face()

    def read_degraded(self, row: Row, landmarks_of: Face | None = None, *, keep_faults: bool = False) -> Face:
        """Return the ready degraded face of a row, with landmarks that were found on it.

        A row that has no sharp picture gives its own landmarks, which are then those of the degraded one.

        Args:
            landmarks_of: the same face, sharp, as it was read: take its landmarks and look for none.
            keep_faults: as for `read`.

        Raises:
            DataError: as for `read`.
        """
        if not row.degraded:
            raise DataError(f"{row.name}: has no degraded picture; name one in its row or degrade the sharp one")
        image, data = self._picture(row.degraded, row.degraded_checksum)
        if landmarks_of is not None:
            return replace(landmarks_of, image=resize_face(image, landmarks_of.landmarks, self.image_size)[0])

        def face() -> Face:
            landmarks, measured = None if row.picture else self._known(row), True
            if landmarks is None:
                place = self.made.place(row, degraded=bool(row.picture))
                landmarks, measured = self._make(row, row.degraded, image, data, place)
            return self._face(row, row.degraded, image, landmarks, measured)

        return self._keeping(face, row, image) if keep_faults else face()

    def _keeping(self, read: Callable[[], Face], row: Row, image: np.ndarray) -> Face:
        """Return a face whose picture is good, with what is wrong with its landmarks."""
        try:
            face = read()
            face.boxes()
            return face
        except DataError as error:
            picture = resize_face(image, template_landmarks(image.shape[0]), self.image_size)[0]
            face = faulty(picture, row.name, error)
            stands_in = self.missing_landmarks == "template" and isinstance(error, BoxError)
            return replace(face, fault=None) if stands_in else face

    def _picture(self, key: str, checksum: int | None) -> tuple[np.ndarray, bytes]:
        data = self.storage.read(key)
        if self.verify_checksums:
            self._verify(key, data, self.storage.checksum(key) if checksum is None else checksum)
        place = self.storage.where(key)
        image = decode_image(data, place, max_pixels=MAX_FACE_PIXELS)
        height, width = image.shape[:2]
        if height != width:
            raise DataError(f"{place}: {width} x {height} pixels; aligned faces are square. Align it first")
        return image, data

    def _verify(self, key: str, data: bytes, expected: int | None) -> None:
        found = zlib.crc32(data)
        if expected is not None and found != expected:
            raise DataError(
                f"{self.storage.where(key)}: is damaged or was changed: its CRC-32 is {found:08x}, {expected:08x} was "
                "recorded; get the file again, or make the manifest or the LMDB anew"
            )

    def _known(self, row: Row) -> np.ndarray | None:
        if row.landmarks is not None:
            return check_landmarks(row.landmarks, f"{row.name}: its row in the table")
        return self.made.read(row.landmark_file)

    def _make(self, row: Row, key: str, image: np.ndarray, data: bytes, place: str) -> tuple[np.ndarray, bool]:
        """Return landmarks, and whether they are the face's own."""
        try:
            return self.made.get(image, data, place), True
        except FaceError as error:
            if self.missing_landmarks == "template":
                return template_landmarks(image.shape[0]), False
            raise NoLandmarksError(
                f"{self.storage.where(key)}: it has no landmark file ({row.landmark_file or 'none is named'}) and "
                f"landmarks could not be made: {error}. Write 68 lines 'x y' to {place or 'a landmark file'}, "
                "take the picture out of the data, or set missing_landmarks to template"
            ) from error

    def _face(self, row: Row, key: str, image: np.ndarray, landmarks: np.ndarray, measured: bool) -> Face:
        _check_plausible(landmarks, image.shape[1], self.storage.where(key))
        return Face(*resize_face(image, landmarks, self.image_size), row.name, measured)


def _check_plausible(landmarks: np.ndarray, width: int, place: str) -> None:
    if not ((landmarks > -width) & (landmarks < 2 * width)).all():
        raise DataError(
            f"{place}: its landmarks lie far outside the {width} x {width} picture; are they another one's?"
        )
    fitting = _fitting_width(landmarks)
    if fitting is not None and abs(fitting / width - 1) > _OTHER_SIZE:
        raise DataError(
            f"{place}: its landmarks fit this picture at about {fitting:.0f} x {fitting:.0f} pixels, and it has "
            f"{width} x {width}; name the landmarks of this size (dataroot_landmarks), or leave them out to make them"
        )
    if landmarks[LEFT_EYE, 0].mean() >= landmarks[RIGHT_EYE, 0].mean():
        raise DataError(
            f"{place}: in its landmarks the eyes are swapped; points 37 to 42 belong to the eye on the picture's left"
        )


def _fitting_width(landmarks: np.ndarray) -> float | None:
    """Return the width of the picture in which landmarks (68, 2) lie as in FFHQ's frame; None where that is none."""
    points = landmarks + 0.5
    width = float((points * TEMPLATE_68).sum() / (TEMPLATE_68**2).sum())
    far = float(np.linalg.norm(points - width * TEMPLATE_68, axis=1).mean())
    return width if far < _FITS * width else None


def resize_face(image: np.ndarray, landmarks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a square picture and its landmarks at `size` pixels; pixel centres are at whole numbers."""
    old = image.shape[0]
    if old == size:
        return image, landmarks
    interpolation = cv2.INTER_AREA if old > size else cv2.INTER_LANCZOS4
    return cv2.resize(image, (size, size), interpolation=interpolation), (landmarks + 0.5) * (size / old) - 0.5
