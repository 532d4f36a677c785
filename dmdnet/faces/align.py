"""A face out of a photograph into the frame that networks are trained in, and back.

The frame is FFHQ's (Karras et al., "A Style-Based Generator Architecture", CVPR 2019, appendix A): a square around
the eyes and the mouth. Points are x y, counted from the centre of the first pixel; matrices are 2 x 3 and take
points of the photograph to points of the aligned picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from dmdnet.errors import FaceError
from dmdnet.faces.landmarks import LEFT_EYE, LEFT_MOUTH_CORNER, RIGHT_EYE, RIGHT_MOUTH_CORNER, check_landmarks

_MIN_HALF_SIDE = 2.0  # pixels of the photograph; a smaller square holds no face
_PAD_BLUR = 0.02  # sigma of the blur outside the photograph, in sides of the aligned picture
_PAD_FADE = 0.08  # distance over which that blur sets in


@dataclass(frozen=True)
class Aligned:
    """A face in the network's frame: uint8 RGB (size, size, 3), the matrix photograph -> frame, its landmarks there."""

    image: np.ndarray
    matrix: np.ndarray
    landmarks: np.ndarray

    @property
    def magnification(self) -> float:
        """Pixels of the aligned picture per pixel of the photograph; above 1 the face was small."""
        return _scale(self.matrix)

    @property
    def side_in_photo(self) -> float:
        """Side of the aligned square in pixels of the photograph."""
        return self.image.shape[0] / self.magnification


def ffhq_transform(landmarks: np.ndarray, size: int = 512) -> np.ndarray:
    """Return the similarity (2, 3) that takes a photograph to FFHQ's frame of `size` x `size` pixels.

    Raises:
        DataError: landmarks of another shape, or not finite.
        FaceError: eyes and mouth coincide, so that there is no frame.
    """
    landmarks = check_landmarks(landmarks)
    left_eye, right_eye = landmarks[LEFT_EYE].mean(axis=0), landmarks[RIGHT_EYE].mean(axis=0)
    eyes = (left_eye + right_eye) / 2
    eye_to_eye = right_eye - left_eye
    eye_to_mouth = (landmarks[LEFT_MOUTH_CORNER] + landmarks[RIGHT_MOUTH_CORNER]) / 2 - eyes
    across = eye_to_eye - _quarter_turn(eye_to_mouth)
    half_side = max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    if np.hypot(*across) < 1e-6 or half_side < _MIN_HALF_SIDE:
        raise FaceError("the landmarks of eyes and mouth coincide; the face cannot be aligned")
    across = across / np.hypot(*across)
    down = _quarter_turn(across)
    corner = eyes + 0.1 * eye_to_mouth - half_side * (across + down)
    turn = np.stack([across, down]) * (size / (2 * half_side))
    # the corner of the square is the corner of the first pixel, half a pixel before its centre
    return np.column_stack([turn, -turn @ corner - 0.5])


def align_face(rgb: np.ndarray, landmarks: np.ndarray, size: int = 512) -> Aligned:
    """Return the face with these landmarks in FFHQ's frame.

    A large face is shrunk without aliasing; what lies outside the photograph is its mirrored border, ever more
    blurred.

    Raises:
        DataError, FaceError: as `ffhq_transform`; or the face lies outside the photograph.
    """
    matrix = ffhq_transform(landmarks, size)
    image = warp(rgb, matrix, (size, size))
    _blur_padding(image, matrix, rgb.shape[:2])
    return Aligned(image, matrix, transform_points(landmarks, matrix))


def paste_back(photo: np.ndarray, restored: np.ndarray, matrix: np.ndarray, feather: float = 0.25) -> np.ndarray:
    """Return the photograph with `restored` laid over the square that `matrix` had taken from it.

    The edge is a rounded square that fades over `feather` of its half side, in (0, 1]; outside it no value changes.
    A face smaller than the network's picture is shrunk without aliasing.

    Args:
        photo: uint8 RGB (H, W, 3). restored: uint8 RGB (size, size, 3). matrix: of `align_face`.
    """
    size = restored.shape[0]
    height, width = photo.shape[:2]
    back = cv2.invertAffineTransform(matrix)
    x0, y0, x1, y1 = _bounds(back, (size, size), (height, width), margin=1)
    into_part = back.copy()
    into_part[:, 2] = back[:, 2] - (x0, y0)
    face = warp(restored, into_part, (x1 - x0, y1 - y0)).astype(np.float32)
    mask = _soft_square(matrix, (x0, y0, x1, y1), size, feather)[..., None]
    part = photo[y0:y1, x0:x1]
    blended = part + mask * (face - part)
    result = photo.copy()
    result[y0:y1, x0:x1] = np.where(mask > 0, np.rint(blended), part).astype(np.uint8)
    return result


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return points (..., 2) after the 2 x 3 `matrix`."""
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def _quarter_turn(vector: np.ndarray) -> np.ndarray:
    return np.array([-vector[1], vector[0]])


def _scale(matrix: np.ndarray) -> float:
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def _bounds(
    matrix: np.ndarray, size: tuple[int, int], limit: tuple[int, int], margin: int
) -> tuple[int, int, int, int]:
    """Return x0 y0 x1 y1 around a picture of `size` (width, height) after `matrix`, inside `limit` (height, width)."""
    width, height = size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)]) - 0.5
    points = transform_points(corners, matrix)
    x0, y0 = np.maximum(np.floor(points.min(axis=0)).astype(int) - margin, 0)
    x1, y1 = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1 + margin, (limit[1], limit[0]))
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise FaceError(f"the face lies outside the {limit[1]} x {limit[0]} picture")
    return int(x0), int(y0), int(x1), int(y1)


def warp(source: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return `source` (H, W, 3) after the similarity `matrix` (2, 3), a picture of `size` (width, height).

    Where it shrinks, several samples are taken per pixel and averaged: one resampling instead of a resize and a
    turn, which costs 3 to 4 dB on the way there and back.
    """
    scale = _scale(matrix)
    x0, y0, x1, y1 = _bounds(cv2.invertAffineTransform(matrix), size, source.shape[:2], margin=4 + int(4 / scale))
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ (x0, y0)
    samples = max(math.ceil(1.0 / scale - 1e-3), 1)
    matrix *= samples
    matrix[:, 2] += (samples - 1) / 2
    warped = cv2.warpAffine(
        source[y0:y1, x0:x1],
        matrix,
        (size[0] * samples, size[1] * samples),
        flags=cv2.INTER_CUBIC if scale > 1.0 else cv2.INTER_LANCZOS4,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return warped if samples == 1 else cv2.resize(warped, size, interpolation=cv2.INTER_AREA)


def _blur_padding(image: np.ndarray, matrix: np.ndarray, photo_shape: tuple[int, int]) -> None:
    """Blur, in place, what lies outside the photograph: more with the distance from it."""
    size = image.shape[0]
    points = _grid(cv2.invertAffineTransform(matrix), (0, 0, size, size))
    limit = np.array([photo_shape[1] - 1, photo_shape[0] - 1])
    outside = np.linalg.norm(np.maximum(np.maximum(-points, points - limit), 0), axis=-1) * _scale(matrix)
    if outside.max() <= 1.0:
        return
    blurred = cv2.GaussianBlur(image, (0, 0), _PAD_BLUR * size)
    weight = np.clip(outside / (_PAD_FADE * size), 0.0, 1.0)[..., None]
    image[:] = np.rint(image + weight * (blurred.astype(np.float32) - image)).astype(np.uint8)


def _grid(matrix: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return (H, W, 2): where `matrix` takes the pixel centres of `box`."""
    x0, y0, x1, y1 = box
    x, y = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
    return transform_points(np.stack([x, y], axis=-1), matrix.astype(np.float32))


def _soft_square(matrix: np.ndarray, box: tuple[int, int, int, int], size: int, feather: float) -> np.ndarray:
    """Return (H, W) weights for the pixels of `box`: 1 in the aligned square, smoothly 0 at its edge and outside.

    The level lines are superellipses of exponent 4, so that no corner shows.
    """
    centred = (_grid(matrix, box) + 0.5) / (size / 2) - 1.0
    radius = np.sqrt(np.sqrt((centred**4).sum(axis=-1)))
    ramp = np.clip((1.0 - radius) / feather, 0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)
