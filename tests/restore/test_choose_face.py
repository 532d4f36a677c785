from __future__ import annotations

import numpy as np
import pytest

from dmdnet.errors import FaceError
from dmdnet.faces.backend import Face
from dmdnet.restore.choose_face import choose_faces, parse_choice

FACES = [Face((10 * n, 0, 10 * n + 50 - n, 50), np.zeros((68, 2)), 1.0) for n in range(3)]


@pytest.mark.parametrize(
    ("choice", "distances", "chosen"),
    [
        ("all", None, [0, 1, 2]),
        ("largest", None, [0]),
        ("largest", [0.9, 0.1, 0.5], [0]),
        (2, None, [1]),
        ("3", None, [2]),
        ("only", [0.9, 0.7, 0.3], [2]),
    ],
)
def test_choices(choice, distances, chosen):
    assert choose_faces(FACES, choice, "photo", distances) == chosen


def test_one_face_needs_no_choice():
    assert choose_faces(FACES[:1], "only", "photo") == [0]


def test_several_faces_are_listed_with_the_remedy():
    with pytest.raises(FaceError) as caught:
        choose_faces(FACES, "only", "group.jpg")
    message = str(caught.value)
    for part in ("group.jpg: shows 3 faces", "2 at (10, 0, 59, 50), 49 px wide", "--face N", "--references"):
        assert part in message


def test_a_number_that_no_face_has():
    with pytest.raises(FaceError, match=r"no face 4; it shows 3 faces: 1 at"):
        choose_faces(FACES, 4, "photo")


@pytest.mark.parametrize("choice", ["biggest", "0", 0, -1, "1.5", "", "²"])
def test_no_choice_at_all(choice):
    with pytest.raises(FaceError, match="expected only, largest, all, or a face's number"):
        parse_choice(choice)
