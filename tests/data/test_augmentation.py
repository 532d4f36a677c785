"""Colour jitter, landmark noise and box jitter."""

from __future__ import annotations

import numpy as np
import pytest
from made_faces import mean_landmarks, picture

from dmdnet.data.augmentation import LUMA, degraded_boxes, jitter_boxes, jitter_colours
from dmdnet.data.face_reader import Face
from dmdnet.faces.boxes import box_defects


class Fixed(np.random.Generator):
    """A generator whose uniform numbers are given."""

    def __new__(cls, *values: float) -> Fixed:
        return super().__new__(cls, np.random.Philox(0))

    def __init__(self, *values: float) -> None:
        super().__init__(np.random.Philox(0))
        self.values = values

    def uniform(self, *args: object) -> np.ndarray:
        return np.array(self.values)


def by_steps(image: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    values = image.astype(np.float64) * brightness
    values = (values - (values @ LUMA).mean()) * contrast + (values @ LUMA).mean()
    grey = (values @ LUMA)[..., None]
    return np.clip(np.round(grey + saturation * (values - grey)), 0, 255)


@pytest.mark.parametrize("factors", [(1.3, 1, 1), (1, 0.7, 1), (1, 1, 0.7), (0.8, 1.2, 1.3)])
def test_colours_change_as_by_three_steps(factors: tuple) -> None:
    image = picture(0, 64)
    np.testing.assert_allclose(jitter_colours(image, 0.3, Fixed(*factors)), by_steps(image, *factors), atol=1)


def test_no_strength_keeps_colours() -> None:
    image = picture(0, 64)
    np.testing.assert_array_equal(jitter_colours(image, 0.0, np.random.default_rng(0)), image)


def test_colours_leave_their_input() -> None:
    image = picture(0, 64)
    jitter_colours(image, 0.3, np.random.default_rng(0))
    np.testing.assert_array_equal(image, picture(0, 64))


def test_box_jitter_stays_within_its_fraction() -> None:
    boxes = np.array([[100, 100, 180, 180]] * 4)
    rng = np.random.default_rng(0)
    jittered = np.stack([jitter_boxes(boxes, 0.08, rng) for _ in range(300)])
    centres = (jittered[..., 2:] + jittered[..., :2]) / 2
    sides = jittered[..., 2:] - jittered[..., :2]
    assert np.abs(centres - 140).max() == pytest.approx(0.08 * 80, rel=0.05)
    assert np.abs(sides / 80 - 1).max() == pytest.approx(0.08, rel=0.05)
    np.testing.assert_allclose(jitter_boxes(boxes, 0.0, rng), boxes)


def test_no_jitter_gives_the_exact_boxes() -> None:
    face = Face(picture(0, 128), mean_landmarks(128), "a")
    np.testing.assert_array_equal(degraded_boxes(face, (0.0, 0.0), 0.0, np.random.default_rng(0)), face.boxes())


def test_boxes_can_always_be_read() -> None:
    # eyes at the upper border, and far more jitter than anybody would ask for
    face = Face(picture(0, 64), mean_landmarks(64) - [0, 18], "a")
    exact, rng = face.boxes(), np.random.default_rng(0)
    for _ in range(300):
        boxes = degraded_boxes(face, (0.0, 60.0), 0.45, rng)
        assert boxes.dtype == np.int32
        assert not box_defects(boxes, 64)
        assert not np.array_equal(boxes, exact)


def test_landmark_noise_is_in_pixels_of_512() -> None:
    def spread(size: int) -> float:
        face, rng = Face(picture(0, size), mean_landmarks(size), "a"), np.random.default_rng(0)
        return float(np.std([degraded_boxes(face, (4.0, 4.0), 0.0, rng)[3] for _ in range(300)], axis=0).mean())

    assert spread(256) == pytest.approx(spread(512) / 2, rel=0.2)
    assert spread(512) > 1
