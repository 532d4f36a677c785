"""One photograph: its faces found, aligned, measured and written."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dmdnet.data.face_reader import MAX_FACE_PIXELS
from dmdnet.errors import DataError, DMDNetError, FaceError
from dmdnet.faces.align import align_face, ffhq_transform
from dmdnet.faces.backend import FaceBackend, find_face, get_backend
from dmdnet.faces.boxes import box_defects, clip_boxes
from dmdnet.faces.component_boxes import component_boxes
from dmdnet.faces.fingerprint import fingerprint
from dmdnet.faces.quality import head_pose, sharpness
from dmdnet.faces.template import template_face_box, template_landmarks
from dmdnet.files import make_folder
from dmdnet.images import decode_image, read_file, write_image
from dmdnet.prepare.names import digest, face_stem
from dmdnet.prepare.options import FaceOptions
from dmdnet.prepare.record import Finished, FoundFace
from dmdnet.prepare.scan import Failure, Photograph
from dmdnet.prepare.workspace import Workspace

_LARGEST_FILE = 1 << 30  # bytes; the most pixels that are read have half of that in 16 bits
THUMBNAIL = 24  # side of the small grey picture that near-duplicates are told by
_INNER = slice(0.2, 0.95), slice(0.18, 0.82)  # rows and columns of the frame that are face, not background
# of the frame's side: landmarks of aligned faces lie on average 0.025 from the template, those of a picture that is
# not aligned a tenth and more
_FAR_FROM_TEMPLATE = 0.07


@dataclass(frozen=True)
class _Picture:
    """An aligned face, measured and not yet written."""

    rgb: np.ndarray
    landmarks: np.ndarray
    source_side: float
    embedding: np.ndarray
    pose: tuple[float, float, float]
    sharpness: float

    @classmethod
    def measured(cls, rgb: np.ndarray, landmarks: np.ndarray, source_side: float, embedding: np.ndarray) -> _Picture:
        """Return the face with what is measured on its aligned picture."""
        size = rgb.shape[0]
        defects = box_defects(clip_boxes(component_boxes(landmarks[None], size)[0], size), size)
        if defects:
            raise FaceError("; ".join(f"{component}: {defect}" for component, defect in defects.items()))
        yaw, pitch, roll = (round(angle, 3) for angle in head_pose(landmarks))
        return cls(rgb, landmarks, source_side, embedding, (yaw, pitch, roll), round(sharpness(rgb, landmarks), 4))


class FaceFinder:
    """Does photographs one at a time; made once in every process.

    Args:
        root: INPUT. output: OUTPUT.

    Raises:
        FaceError: the back end or its weights are missing.
    """

    def __init__(self, root: Path, output: Path, options: FaceOptions) -> None:
        self._root = root
        self._faces = Workspace(output).faces
        self._options = options
        self._backend: FaceBackend = get_backend(options.face_backend)

    def __call__(self, photograph: Photograph) -> Finished:
        """Return the faces of a photograph, whose pictures are written; a photograph that is no use says why.

        Raises:
            DataError: a picture cannot be written.
        """
        name = photograph.name
        try:
            data = self._read(photograph)
        except DMDNetError as error:
            return Finished(name, photograph.stamp, (), (Failure(name, _reason(error, name)),), passing=True)
        try:
            rgb = decode_image(data, name)
            pictures, failures = self._aligned(rgb) if self._options.aligned else self._found(rgb)
        except DMDNetError as error:
            return Finished(name, photograph.stamp, (), (Failure(name, _reason(error, name)),))
        listed = tuple(Failure(name, reason, number) for number, reason in failures)
        faces = tuple(self._face(name, data, number, picture) for number, picture in pictures)
        return Finished(name, photograph.stamp, faces, listed)

    def _read(self, photograph: Photograph) -> bytes:
        if photograph.stamp[0] > _LARGEST_FILE:
            raise DataError(
                f"{photograph.name}: more than {_LARGEST_FILE >> 20} MiB; no picture that is read is so large"
            )
        return read_file(self._root / photograph.name)

    def _found(self, rgb: np.ndarray) -> tuple[list[tuple[int, _Picture]], list[tuple[int, str]]]:
        """Return the faces of a photograph and what is wrong with others, by their number."""
        found = self._backend.detect(rgb)
        if not found:
            raise FaceError(
                f"no face was found in {rgb.shape[1]} x {rgb.shape[0]} pixels; faces seen from the front and upright "
                "are found"
            )
        pictures, failures = [], []
        for number, face in enumerate(found, start=1):
            try:
                pictures.append((number, self._cut(rgb, face.landmarks)))
            except DMDNetError as error:
                failures.append((number, str(error)))
        return pictures, failures

    def _cut(self, rgb: np.ndarray, landmarks: np.ndarray) -> _Picture:
        size = self._options.size
        matrix = ffhq_transform(landmarks, size)
        side = size / float(np.hypot(matrix[0, 0], matrix[1, 0]))
        if side < self._options.min_face:
            raise FaceError(f"its square is {side:.0f} pixels wide, min_face asks for {self._options.min_face:g}")
        aligned = align_face(rgb, landmarks, size)
        return _Picture.measured(aligned.image, aligned.landmarks, side, self._backend.embed(rgb, landmarks))

    def _aligned(self, rgb: np.ndarray) -> tuple[list[tuple[int, _Picture]], list[tuple[int, str]]]:
        """Return the one face of a picture that is aligned already."""
        height, side = rgb.shape[:2]
        if height != side:
            raise DataError(f"{side} x {height} pixels are no aligned face, which is square; leave out --aligned")
        if side < self._options.min_face:
            raise FaceError(f"is {side} pixels wide, min_face asks for {self._options.min_face:g}")
        if self._options.in_place and side * side > MAX_FACE_PIXELS:
            raise DataError(
                f"{side} x {side} pixels are more than data sets read; leave out --in-place to write it smaller"
            )
        landmarks = self._landmarks_in_frame(rgb)
        embedding = self._backend.embed(rgb, landmarks)
        if not self._options.in_place and side != self._options.size:
            size = self._options.size
            shrinks = side > size
            rgb = cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4)
            landmarks = (landmarks + 0.5) * (size / side) - 0.5
        return [(1, _Picture.measured(rgb, landmarks, float(side), embedding))], []

    def _landmarks_in_frame(self, rgb: np.ndarray) -> np.ndarray:
        """Return landmarks without a search; where they do not fit an aligned face, search after all."""
        side = rgb.shape[0]
        expected = template_landmarks(side)
        for landmarks in (
            lambda: self._backend.landmarks_in(rgb, template_face_box(side)),
            lambda: find_face(self._backend, rgb).landmarks,
        ):
            points = landmarks()
            far = float(np.linalg.norm(points - expected, axis=1).mean()) / side
            if far < _FAR_FROM_TEMPLATE:
                return points
        raise FaceError(
            f"is not in FFHQ's frame: its landmarks lie {far:.0%} of its side from where they should; leave out "
            "--aligned for photographs"
        )

    def _face(self, name: str, data: bytes, number: int, picture: _Picture) -> FoundFace:
        rgb, file = picture.rgb, ""
        if not self._options.in_place:
            stem = face_stem(name, number)
            file = f"{digest(name, 2)}/{stem}.png"
            make_folder((self._faces / file).parent)
            data = read_file(write_image(self._faces / file, rgb))
        return FoundFace(
            photograph=name,
            number=number,
            file=file,
            checksum=zlib.crc32(data),
            num_bytes=len(data),
            size=(rgb.shape[1], rgb.shape[0]),
            landmarks=picture.landmarks.astype(np.float32),
            embedding=picture.embedding.astype(np.float32),
            pose=picture.pose,
            sharpness=picture.sharpness,
            source_side=round(picture.source_side, 2),
            fingerprint=fingerprint(rgb),
            thumbnail=_thumbnail(rgb),
        )


def _thumbnail(rgb: np.ndarray) -> np.ndarray:
    rows, columns = (slice(round(part.start * rgb.shape[0]), round(part.stop * rgb.shape[0])) for part in _INNER)
    grey = cv2.cvtColor(np.ascontiguousarray(rgb[rows, columns]), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).reshape(-1)


def _reason(error: DMDNetError, name: str) -> str:
    """Return the message without the name that stands beside it in the list."""
    message = str(error)
    return message.partition(f"{name}: ")[2] or message
