from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from dmdnet.data.demo_faces import Identity, Pose, Shot, draw_face
from dmdnet.errors import DataError
from dmdnet.faces.align import align_face
from dmdnet.faces.landmarks import flip_landmarks
from dmdnet.faces.quality import head_pose, sharpness
from dmdnet.faces.template import template_landmarks


def turned_face(number: int, yaw: float, pitch: float, roll: float = 0.0, size: int = 128):
    shot = Shot.sample(0, number, 1)
    pose = Pose(yaw=math.radians(yaw), pitch=-math.radians(pitch), roll=math.radians(roll))
    return draw_face(Identity.sample(0, number), replace(shot, pose=pose), size)


def test_the_mean_face_looks_straight_ahead():
    np.testing.assert_allclose(head_pose(template_landmarks(512)), (0, 0, 0), atol=1e-6)


@pytest.mark.parametrize(("yaw", "pitch"), [(25, 0), (-25, 0), (0, 12), (0, -12), (15, 8)])
def test_pose_of_faces_whose_pose_is_known(yaw, pitch):
    found = np.array([head_pose(turned_face(number, yaw, pitch).landmarks) for number in range(1, 9)])
    # a drawn head has a steeper relief than a real one: angles come out 1.3 times as large
    assert np.abs(found[:, 0] - 1.3 * yaw).mean() < 3
    assert np.abs(found[:, 1] - 1.25 * pitch).mean() < 8
    assert np.abs(found[:, 2]).mean() < 3.5


def test_a_turned_picture_has_that_roll_and_the_same_yaw():
    points = turned_face(3, 15, 5).landmarks
    yaw, pitch, roll = head_pose(points)
    angle = math.radians(20)  # clockwise as seen, since y points down
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    np.testing.assert_allclose(head_pose(points @ turn.T * 3 + 40), (yaw, pitch, roll + 20), atol=1e-6)


def test_a_mirrored_face_has_the_opposite_yaw_and_roll():
    points = turned_face(4, 18, -6, 8).landmarks
    yaw, pitch, roll = head_pose(points)
    np.testing.assert_allclose(head_pose(flip_landmarks(points, 128)), (-yaw, pitch, -roll), atol=1e-6)


def test_an_aligned_face_is_upright(astronaut, astronaut_face):
    yaw, pitch, roll = head_pose(align_face(astronaut, astronaut_face.landmarks).landmarks)
    assert abs(roll) < 2
    assert abs(yaw) < 10
    assert abs(pitch) < 20


def test_landmarks_without_a_head_are_refused():
    with pytest.raises(DataError, match="on one line"):
        head_pose(np.tile(np.arange(68.0)[:, None], (1, 2)))


@pytest.fixture(scope="module")
def faces(backend, astronaut, astronaut_face):
    drawn = turned_face(1, 0, 0, size=512)
    return [align_face(astronaut, astronaut_face.landmarks).image, drawn.image]


def jpeg(image, quality):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def noisy(image, deviation):
    noise = np.random.default_rng(0).normal(0, deviation, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def blurred(image, deviation):
    return cv2.GaussianBlur(image, (0, 0), deviation) if deviation else image


BLURS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24)


@pytest.mark.parametrize("spoil", [lambda image: image, lambda image: noisy(image, 15), lambda image: jpeg(image, 40)])
def test_sharpness_falls_with_every_blur(faces, spoil):
    for face in faces:
        found = [sharpness(spoil(blurred(face, deviation))) for deviation in BLURS]
        assert all(sharper > blunter for sharper, blunter in pairwise(found)), found


def test_sharpness_is_that_of_the_blur(faces):
    for face in faces:
        for deviation in (6, 8, 12):
            assert sharpness(blurred(face, deviation)) == pytest.approx(124 / 2.355 / deviation, rel=0.25)


@pytest.mark.parametrize("deviation", [0, 2, 8])
def test_noise_and_jpeg_hardly_change_sharpness(faces, deviation):
    for face in faces:
        clean = sharpness(blurred(face, deviation))
        # up to 7% on seven faces
        for spoilt in (noisy(blurred(face, deviation), 15), jpeg(blurred(face, deviation), 40)):
            assert sharpness(spoilt) == pytest.approx(clean, rel=0.12)


def test_the_size_of_storage_does_not_count_but_for_what_its_pixels_can_hold(faces):
    soft = blurred(faces[1], 6)
    for side in (256, 1024):
        resized = cv2.resize(soft, (side, side), interpolation=cv2.INTER_AREA if side < 512 else cv2.INTER_CUBIC)
        assert sharpness(resized) == pytest.approx(sharpness(soft), rel=0.1)
    assert sharpness(cv2.resize(faces[1], (128, 128), interpolation=cv2.INTER_AREA)) < 0.5 * sharpness(faces[1])


def test_the_background_has_no_say(faces):
    soft = blurred(faces[1], 8)
    border = soft.copy()
    border[:60] = np.random.default_rng(0).integers(0, 2, (60, 512, 1)) * 255
    assert sharpness(border) == pytest.approx(sharpness(soft), rel=0.01)


def test_landmarks_say_where_the_face_is(astronaut, astronaut_face):
    found = sharpness(astronaut, astronaut_face.landmarks)
    assert found == pytest.approx(sharpness(align_face(astronaut, astronaut_face.landmarks).image), rel=0.35)


def test_a_picture_without_edges_is_not_sharp():
    assert sharpness(np.full((128, 128, 3), 90, np.uint8)) < 0.01
    assert sharpness(np.zeros((8, 8, 3), np.uint8)) == 0
    with pytest.raises(DataError, match="9 x 8 pixels without landmarks"):
        sharpness(np.zeros((8, 9, 3), np.uint8))
