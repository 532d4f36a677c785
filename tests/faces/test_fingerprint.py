from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest

from dmdnet.data.demo_faces import Identity, Shot, draw_face
from dmdnet.faces.align import align_face
from dmdnet.faces.backend import find_face
from dmdnet.faces.fingerprint import SAME_PICTURE, fingerprint, hamming
from dmdnet.images import read_image


@pytest.fixture(scope="module")
def shots():
    """Twelve people, three pictures each."""
    people = range(1, 13)
    return [[draw_face(Identity.sample(0, n), Shot.sample(0, n, k), 128).image for k in (1, 2, 3)] for n in people]


def variants(image):
    side = len(image)
    yield "jpeg", cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)
    yield "smaller", cv2.resize(image, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    yield "larger", cv2.resize(image, (2 * side, 2 * side), interpolation=cv2.INTER_CUBIC)
    yield "cut", image[1:-1, 1:-1]
    yield "noise", np.clip(image + np.random.default_rng(0).normal(0, 8, image.shape), 0, 255).astype(np.uint8)


def test_files_of_one_picture_have_one_fingerprint(shots):
    for image in (person[0] for person in shots):
        own = fingerprint(image)
        distances = {name: hamming(own, fingerprint(other)) for name, other in variants(image)}
        assert max(distances.values()) <= SAME_PICTURE, distances


def test_other_pictures_and_other_people_have_another(shots):
    found = [fingerprint(image) for person in shots for image in person]
    distances = [hamming(one, other) for one, other in combinations(found, 2)]
    assert min(distances) > SAME_PICTURE
    assert 26 < np.median(distances) < 38


def test_a_fingerprint_is_64_bits_and_never_zero(shots):
    for image in (shots[0][0], np.zeros((9, 5, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)):
        assert 0 < fingerprint(image) < 2**64
        assert fingerprint(image) == fingerprint(image.copy())
    assert hamming(0, 2**64 - 1) == 64
    assert hamming(2**63, 2**63 + 5) == 2


def test_copies_among_the_real_photographs(backend, photos):
    names = (
        "person_a/1.jpg",
        "person_a/4.jpg",
        "odd/small_240p.jpg",
        "person_a/2.jpg",
        "odd/32bit.png",
        "person_b/2.jpg",
    )
    copies = {frozenset(pair) for group in (names[:3], names[3:5]) for pair in combinations(group, 2)}
    found = {}
    for name in names:
        rgb = read_image(photos / name)
        found[name] = fingerprint(align_face(rgb, find_face(backend, rgb).landmarks, 256).image)
    for pair in combinations(names, 2):
        assert (hamming(found[pair[0]], found[pair[1]]) <= SAME_PICTURE) == (frozenset(pair) in copies), pair
