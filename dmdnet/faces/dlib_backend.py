"""Faces with dlib: two detectors, the 68-point predictor and the 128-d face embedding. Nothing is downloaded.

Weights come with the package face-recognition-models (CC0 but for the 68-point predictor, which was trained on
iBUG 300-W and is not for commercial use).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dmdnet.errors import FaceError
from dmdnet.faces.backend import Face
from dmdnet.faces.landmarks import NUM_LANDMARKS, check_landmarks
from dmdnet.registry import FACE_BACKENDS

_INSTALL = "pip install dlib-bin face-recognition-models"
_LANDMARK_MODEL = "shape_predictor_68_face_landmarks.dat"
_EMBEDDING_MODEL = "dlib_face_recognition_resnet_model_v1.dat"
_CNN_MODEL = "mmod_human_face_detector.dat"

# (detector, pixels of the picture that it looks at, largest magnification): the first that finds a face decides.
# The HOG window is 80 pixels; the CNN finds turned and degraded faces that HOG misses and is 50 times slower.
_SEARCHES = (("hog", 1_600_000, 2.0), ("hog", 6_400_000, 4.0), ("cnn", 500_000, 4.0))
# a HOG detection below this score counts only when the CNN sees a face there too
_SURE_SCORE = 0.5
_CNN_MIN_SIDE = 40  # of the picture: the smallest face that the CNN sees, and it fails on pictures of a few pixels
_CONFIRM_FACE_WIDTH, _CONFIRM_OVERLAP = 100, 0.3
# dlib rounds landmarks to whole pixels, so a small face is magnified before it is measured
_LANDMARK_FACE_WIDTH = 320
_EMBEDDING_FACE_WIDTH = 200
_CHIP_SIZE, _CHIP_PADDING = 150, 0.25

_Box = tuple[float, float, float, float]


@FACE_BACKENDS.register("dlib")
class DlibBackend:
    """dlib's detectors, landmarks and embedding, on the CPU. A few milliseconds to a few seconds per picture.

    Raises:
        FaceError: dlib or its models are not installed.
    """

    same_person_distance = 0.6

    def __init__(self) -> None:
        self._dlib = _import_dlib()
        self._hog = self._dlib.get_frontal_face_detector()
        self._predictor = self._dlib.shape_predictor(_model(_LANDMARK_MODEL))
        self.files = tuple(_model(file) for file in (_LANDMARK_MODEL, _CNN_MODEL, _EMBEDDING_MODEL))

    @functools.cached_property
    def _cnn(self) -> Any:
        return self._dlib.cnn_face_detection_model_v1(_model(_CNN_MODEL))

    @functools.cached_property
    def _recogniser(self) -> Any:
        return self._dlib.face_recognition_model_v1(_model(_EMBEDDING_MODEL))

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Return the faces of uint8 RGB (H, W, 3), the largest first."""
        for detector, pixels, magnification in _SEARCHES:
            height, width = rgb.shape[:2]
            scale = min(math.sqrt(pixels / (height * width)), magnification)
            found = self._search(detector, _resize(rgb, scale))
            boxes = [(_scaled(box, 1 / scale), score) for box, score in found]
            sure = [
                (box, score)
                for box, score in boxes
                if detector == "cnn" or score >= _SURE_SCORE or self._confirmed(rgb, box)
            ]
            if sure:
                faces = [Face(_to_ints(box), self.landmarks_in(rgb, box), score) for box, score in sure]
                return sorted(faces, key=lambda face: face.area, reverse=True)
        return []

    def landmarks_in(self, rgb: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
        """Return landmarks (68, 2) float64 of the face in `box`, with no search for it; a few milliseconds.

        Raises:
            FaceError: the box lies outside the picture.
        """
        part = _Part(rgb, box, _LANDMARK_FACE_WIDTH)
        shape = self._predictor(part.image, self._rectangle(part.box))
        points = [(shape.part(index).x, shape.part(index).y) for index in range(NUM_LANDMARKS)]
        return part.outward(np.array(points, dtype=np.float64))

    def embed(self, rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Return the (128,) float64 embedding of the face with these landmarks."""
        landmarks = check_landmarks(landmarks)
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        part = _Part(rgb, (*low, *high), _EMBEDDING_FACE_WIDTH)
        points = [self._dlib.point(round(x), round(y)) for x, y in part.inward(landmarks)]
        shape = self._dlib.full_object_detection(self._rectangle(part.box), self._dlib.points(points))
        chip = self._dlib.get_face_chip(part.image, shape, _CHIP_SIZE, _CHIP_PADDING)
        return np.array(self._recogniser.compute_face_descriptor(chip))

    def _search(self, detector: str, rgb: np.ndarray) -> list[tuple[_Box, float]]:
        if detector == "cnn" and min(rgb.shape[:2]) < _CNN_MIN_SIDE:
            found = []
        elif detector == "cnn":
            found = [(item.rect, item.confidence) for item in self._cnn(rgb, 0)]
        else:
            rectangles, scores, _ = self._hog.run(rgb, 0, 0.0)
            found = list(zip(rectangles, scores, strict=True))
        return [((box.left(), box.top(), box.right() + 1, box.bottom() + 1), score) for box, score in found]

    def _confirmed(self, rgb: np.ndarray, box: _Box) -> bool:
        part = _Part(rgb, box, _CONFIRM_FACE_WIDTH, shrink=True)
        return any(_overlap(part.box, seen) > _CONFIRM_OVERLAP for seen, _ in self._search("cnn", part.image))

    def _rectangle(self, box: _Box) -> Any:
        left, top, right, bottom = _to_ints(box)
        return self._dlib.rectangle(left, top, right - 1, bottom - 1)


class _Part:
    """The part of a picture around a face box, magnified (or shrunk, if so asked) to a box `face_width` pixels wide."""

    def __init__(self, rgb: np.ndarray, box: _Box, face_width: int, shrink: bool = False) -> None:
        x0, y0, x1, y1 = box
        height, width = rgb.shape[:2]
        margin = 0.6 * max(x1 - x0, y1 - y0)
        origin = max(int(x0 - margin), 0), max(int(y0 - margin), 0)
        part = rgb[origin[1] : max(math.ceil(y1 + margin), 0), origin[0] : max(math.ceil(x1 + margin), 0)]
        if min(part.shape[:2]) < 2:
            raise FaceError(f"the face at {_to_ints(box)} lies outside the {width} x {height} picture")
        scale = face_width / (x1 - x0)
        self.image = _resize(part, scale if shrink else max(scale, 1.0))
        self._scale = np.array(
            [self.image.shape[1] / part.shape[1], self.image.shape[0] / part.shape[0]], dtype=np.float64
        )
        self._origin = np.array(origin, dtype=np.float64)
        corners = (np.array(box, dtype=np.float64).reshape(2, 2) - self._origin) * self._scale
        left, top, right, bottom = corners.reshape(4).tolist()
        self.box: _Box = (left, top, right, bottom)

    def inward(self, points: np.ndarray) -> np.ndarray:
        """Points of the picture as points of the part; both count from the centre of the first pixel."""
        return (points - self._origin + 0.5) * self._scale - 0.5

    def outward(self, points: np.ndarray) -> np.ndarray:
        """Points of the part as points of the picture."""
        return (points + 0.5) / self._scale - 0.5 + self._origin


def _resize(rgb: np.ndarray, scale: float) -> np.ndarray:
    if abs(scale - 1.0) < 0.01:
        return np.ascontiguousarray(rgb)
    size = (max(round(rgb.shape[1] * scale), 1), max(round(rgb.shape[0] * scale), 1))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC)


def _scaled(box: _Box, factor: float) -> _Box:
    x0, y0, x1, y1 = box
    return x0 * factor, y0 * factor, x1 * factor, y1 * factor


def _overlap(one: _Box, other: _Box) -> float:
    """Return the intersection over union of two boxes."""
    sides = [min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis]) for axis in (0, 1)]
    common = max(sides[0], 0) * max(sides[1], 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(common / (sum(areas) - common))


def _to_ints(box: Any) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    return x0, y0, x1, y1


def _import_dlib() -> Any:
    try:
        return importlib.import_module("dlib")
    except ImportError as error:
        raise FaceError(f"the dlib back end needs dlib, which cannot be imported ({error}): {_INSTALL}") from error


def _model(file: str) -> str:
    # the package is looked up and not imported: its import needs pkg_resources, which setuptools dropped
    spec = importlib.util.find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "models" / file
        if path.is_file():
            return str(path)
    raise FaceError(f"the dlib back end needs {file} of the package face-recognition-models: {_INSTALL}")
