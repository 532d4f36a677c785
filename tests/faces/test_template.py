from __future__ import annotations

import numpy as np
import pytest

from dmdnet.errors import FaceError
from dmdnet.faces.align import align_face
from dmdnet.faces.landmarks import LEFT_EYE, MOUTH, RIGHT_EYE, flip_landmarks
from dmdnet.faces.template import TEMPLATE_68, template_face_box, template_landmarks


@pytest.mark.parametrize("size", [64, 128, 512, 1023])
def test_the_template_is_symmetric(size):
    points = template_landmarks(size)
    assert points.shape == (68, 2)
    assert points.dtype == np.float64
    np.testing.assert_allclose(flip_landmarks(points, size), points, atol=1e-9)


def test_the_template_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        TEMPLATE_68[0] = 0
    template_landmarks(512)[0] = 0
    assert TEMPLATE_68[0, 0] > 0.2


def test_the_template_lies_in_the_frame_that_alignment_gives():
    points = template_landmarks(512)
    grey = np.zeros((512, 512, 3), np.uint8)
    # not equal: the frame is as large as the larger of two lengths asks for, and a mean has neither at its largest
    np.testing.assert_allclose(align_face(grey, points, 512).landmarks, points, atol=10)


def test_an_aligned_face_is_near_the_template(astronaut, astronaut_face):
    found = align_face(astronaut, astronaut_face.landmarks, 512).landmarks
    template = template_landmarks(512)
    for part, limit in ((LEFT_EYE, 6), (RIGHT_EYE, 6), (MOUTH, 18)):
        assert np.linalg.norm(found[part] - template[part], axis=1).mean() < limit


def test_landmarks_in_the_template_box_are_those_of_the_detected_face(backend, astronaut, astronaut_face):
    aligned = align_face(astronaut, astronaut_face.landmarks, 512)
    points = backend.landmarks_in(aligned.image, template_face_box(512))
    assert points.shape == (68, 2)
    assert points.dtype == np.float64
    # 3.0 on average over 17 real and 20 drawn faces, 2.6 here
    assert np.linalg.norm(points - backend.detect(aligned.image)[0].landmarks, axis=1).mean() < 5


def test_a_box_outside_the_picture_is_named(backend, astronaut):
    with pytest.raises(FaceError, match=r"\(900, 900, 950, 950\) lies outside the 512 x 512 picture"):
        backend.landmarks_in(astronaut, (900, 900, 950, 950))
