"""Changes to a face that make training harder in the ways that use is hard. All draw from the generator they get."""

from __future__ import annotations

import cv2
import numpy as np

from dmdnet.data.face_reader import Face, boxes_of
from dmdnet.faces.boxes import box_defects, clip_boxes

NOISE_SPACE = 512  # pixels in which landmark noise is given
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def jitter_colours(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return a picture with its brightness, contrast and saturation each multiplied by 1 - strength .. 1 + strength.

    One affine map of RGB: x -> brightness * x, then about the mean grey by contrast, then about each pixel's grey
    by saturation. uint8 (H, W, 3) in and out.
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    mean_grey = float(np.dot(cv2.mean(image)[:3], LUMA)) * brightness
    towards_grey = saturation * np.eye(3) + (1 - saturation) * np.tile(LUMA, (3, 1))
    matrix = towards_grey * (contrast * brightness)
    offset = np.full((3, 1), (1 - contrast) * mean_grey)  # a grey offset stays as it is under towards_grey
    return cv2.transform(image, np.hstack([matrix, offset]).astype(np.float32))


def degraded_boxes(
    face: Face, landmark_noise: tuple[float, float], box_jitter: float, rng: np.random.Generator
) -> np.ndarray:
    """Return boxes (4, 4) as a landmark finder would give them on a degraded picture.

    Args:
        landmark_noise: range of the standard deviation of each landmark's error, in pixels of a 512-pixel picture.
        box_jitter: each box moves by up to this fraction of its side, and its side changes by up to this fraction.

    A component whose box would be outside or too small keeps its exact box.
    """
    exact = face.boxes()
    deviation = rng.uniform(*landmark_noise) * face.size / NOISE_SPACE
    moved = boxes_of(face.landmarks + deviation * rng.standard_normal(face.landmarks.shape), face.size)
    moved = clip_boxes(np.round(jitter_boxes(moved, box_jitter, rng)), face.size)
    return np.stack([exact[i] if _defective(moved, exact, i, face.size) else moved[i] for i in range(len(exact))])


def _defective(moved: np.ndarray, exact: np.ndarray, component: int, size: int) -> bool:
    boxes = exact.copy()
    boxes[component] = moved[component]
    return bool(box_defects(boxes, size))


def jitter_boxes(boxes: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Return boxes (4, 4), float, with centres moved and sides scaled by up to `fraction` of the side."""
    corners = boxes.astype(np.float64)
    sides = corners[:, 2:] - corners[:, :2]
    centres = (corners[:, 2:] + corners[:, :2]) / 2 + sides * rng.uniform(-fraction, fraction, sides.shape)
    sides = sides * (1 + rng.uniform(-fraction, fraction, (len(sides), 1)))
    return np.hstack([centres - sides / 2, centres + sides / 2])
