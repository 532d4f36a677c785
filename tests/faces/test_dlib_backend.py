from __future__ import annotations

import importlib
import importlib.util

import cv2
import numpy as np
import pytest

from dmdnet.errors import FaceError
from dmdnet.faces.align import align_face
from dmdnet.faces.backend import FaceBackend, find_face, get_backend
from dmdnet.faces.dlib_backend import DlibBackend
from dmdnet.images import read_image

FACES = {
    "group/1.jpg": 3, "group/2.jpg": 2, "odd/32bit.png": 1, "odd/partial_1.jpg": 1, "odd/partial_2.jpg": 1,
    "odd/small_240p.jpg": 1, "person_a/1.jpg": 1, "person_a/2.jpg": 1, "person_a/3.jpg": 1, "person_a/4.jpg": 1,
    "person_a/5.jpg": 1, "person_b/1.jpg": 1, "person_b/2.jpg": 1,
}  # fmt: skip


def test_the_astronaut_has_one_face_and_a_flag_is_none(backend, astronaut):
    assert isinstance(backend, FaceBackend)
    (face,) = backend.detect(astronaut)
    x0, y0, x1, y1 = face.box
    assert 160 < x0 < 200
    assert 60 < y0 < 110
    assert 240 < x1 < 290
    assert 150 < y1 < 200


def test_landmarks_of_the_astronaut_are_where_her_face_is(astronaut_face):
    points = astronaut_face.landmarks
    assert points.shape == (68, 2)
    assert points.dtype == np.float64
    # read off the enlarged photograph by eye, in pixels
    np.testing.assert_allclose(points[36:42].mean(0), (203, 101), atol=3)
    np.testing.assert_allclose(points[42:48].mean(0), (247, 103), atol=3)
    np.testing.assert_allclose(points[[48, 54]].mean(0), (225, 140), atol=4)
    assert (points[17:27, 1] < points[36:48, 1].mean()).all(), "brows above the eyes"
    np.testing.assert_allclose(points[8], (223, 177), atol=5)
    assert points[8, 1] == points[:, 1].max(), "the chin is lowest"


def test_eyes_of_the_aligned_astronaut(astronaut, astronaut_face):
    aligned = align_face(astronaut, astronaut_face.landmarks, 512)
    np.testing.assert_allclose(aligned.landmarks[36:42].mean(0), (192, 245), atol=8)
    np.testing.assert_allclose(aligned.landmarks[42:48].mean(0), (320, 245), atol=8)


@pytest.mark.parametrize("side", [96, 1500])
def test_small_and_large_pictures_give_the_same_landmarks(backend, astronaut, astronaut_face, side):
    resized = cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_AREA if side < 512 else cv2.INTER_CUBIC)
    (face,) = backend.detect(resized)
    points = (face.landmarks + 0.5) * 512 / side - 0.5
    assert np.linalg.norm(points - astronaut_face.landmarks, axis=1).mean() < 2.5  # the face is 90 pixels wide


def test_embedding_survives_a_shrunk_picture(backend, astronaut, astronaut_face):
    half = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    one = backend.embed(astronaut, astronaut_face.landmarks)
    other = backend.embed(half, backend.detect(half)[0].landmarks)
    assert one.shape == (128,)
    assert np.linalg.norm(one - other) < backend.same_person_distance


@pytest.mark.parametrize("shape", [(1, 1), (2, 900), (20, 20), (100, 20)])
def test_tiny_and_empty_pictures_have_no_face(backend, shape):
    assert backend.detect(np.zeros((*shape, 3), np.uint8)) == []
    with pytest.raises(FaceError, match=r"crop 3: no face was found in .* pixels"):
        find_face(backend, np.zeros((*shape, 3), np.uint8), "crop 3")


def test_landmarks_outside_the_picture_cannot_be_embedded(backend):
    with pytest.raises(FaceError, match="outside"):
        backend.embed(np.zeros((50, 50, 3), np.uint8), np.random.rand(68, 2) * 30 - 500)


def test_an_unknown_back_end_is_named():
    with pytest.raises(FaceError, match="did you mean 'dlib'"):
        get_backend("dlip")


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FaceError, match=r"shape_predictor_68.*pip install dlib-bin face-recognition-models"):
        DlibBackend()

    def no_dlib(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", no_dlib)
    with pytest.raises(FaceError, match=r"No module named 'dlib'.*pip install dlib-bin"):
        DlibBackend()


def test_every_face_of_the_real_photographs_is_found(backend, photos):
    found = {name: len(backend.detect(read_image(photos / name))) for name in FACES}
    assert found == FACES


def test_embeddings_tell_people_apart(backend, photos):
    embeddings = {}
    for name in ("person_a/1.jpg", "person_a/2.jpg", "person_a/4.jpg", "person_b/1.jpg", "person_b/2.jpg"):
        rgb = read_image(photos / name)
        embeddings[name] = backend.embed(rgb, find_face(backend, rgb).landmarks)
    for one, first in embeddings.items():
        for other, second in embeddings.items():
            same = one.split("/")[0] == other.split("/")[0]
            assert (np.linalg.norm(first - second) < backend.same_person_distance) == same, (one, other)
