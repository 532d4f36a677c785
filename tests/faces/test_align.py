from __future__ import annotations

import cv2
import numpy as np
import pytest

from dmdnet.errors import DataError, FaceError
from dmdnet.faces.align import align_face, ffhq_transform, paste_back, transform_points


def face_landmarks(centre=(100.0, 100.0), width=20.0, angle=0.0):
    """A face seen from the front: eyes `width` apart, the mouth `width` below them, turned by `angle` radians."""
    points = np.tile([0.0, 1.0], (68, 1))
    points[36:42], points[42:48] = (-0.5, 0.0), (0.5, 0.0)
    points[48], points[54] = (-0.4, 1.0), (0.4, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]]) * width + centre


def psnr(one, other):
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2))


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.0, np.pi])
def test_eyes_and_mouth_come_to_ffhqs_places_whatever_the_turn(angle):
    aligned = transform_points(face_landmarks(angle=angle), ffhq_transform(face_landmarks(angle=angle), 512))
    # half side = 2 x eye distance; the centre is a tenth of the way from the eyes to the mouth
    unit = 512 / 4
    np.testing.assert_allclose(aligned[36], (256 - unit / 2 - 0.5, 256 - 0.1 * unit - 0.5), atol=1e-9)
    np.testing.assert_allclose(aligned[42], (256 + unit / 2 - 0.5, 256 - 0.1 * unit - 0.5), atol=1e-9)
    np.testing.assert_allclose(aligned[48], (256 - 0.4 * unit - 0.5, 256 + 0.9 * unit - 0.5), atol=1e-9)


def test_the_matrix_is_a_similarity():
    turn = ffhq_transform(face_landmarks(angle=0.3), 256)[:, :2]
    np.testing.assert_allclose(turn @ turn.T, np.eye(2) * np.linalg.det(turn), atol=1e-12)
    assert np.linalg.det(turn) > 0


def test_sizes_show_the_same_square():
    small, large = (ffhq_transform(face_landmarks(), size) for size in (64, 512))
    corners = np.array([(-0.5, -0.5), (1.0, 1.0)])
    for matrix, size in ((small, 64), (large, 512)):
        back = cv2.invertAffineTransform(matrix)
        corner = transform_points(corners[0] * 1.0, back)
        far = transform_points(np.array([size - 0.5, size - 0.5]), back)
        np.testing.assert_allclose(corner, (60.0, 62.0), atol=1e-6)
        np.testing.assert_allclose(far, (140.0, 142.0), atol=1e-6)


def test_impossible_landmarks_are_refused():
    with pytest.raises(FaceError, match="coincide"):
        ffhq_transform(np.ones((68, 2)))
    with pytest.raises(DataError, match="not finite"):
        ffhq_transform(np.full((68, 2), np.nan))
    with pytest.raises(DataError, match="shape"):
        ffhq_transform(np.ones((5, 2)))
    with pytest.raises(FaceError, match="outside"):
        align_face(np.zeros((50, 50, 3), np.uint8), face_landmarks(centre=(900, 900)))


@pytest.mark.parametrize("size", [64, 512])
def test_pixels_land_where_the_matrix_says(size):
    """A photograph whose colours are its coordinates: every aligned pixel tells where it came from."""
    y, x = np.mgrid[0:200, 0:200]
    photo = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)
    aligned = align_face(photo, face_landmarks(width=30, angle=0.3), size)
    y, x = np.mgrid[0:size, 0:size]
    source = transform_points(np.stack([x, y], axis=-1), cv2.invertAffineTransform(aligned.matrix))
    inside = ((source > 4) & (source < 195)).all(-1)
    assert inside.mean() > 0.9
    assert np.abs(aligned.image[..., :2] - source)[inside].max() <= 1.0


def test_a_shrunk_face_has_no_aliasing():
    """Stripes finer than the aligned picture's pixels come out grey; single samples would keep their contrast."""
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    aligned = align_face(stripes, face_landmarks(centre=(600, 550), width=250), 64)
    assert aligned.magnification < 0.1
    assert aligned.image.std() < 8
    assert abs(aligned.image.mean() - 127.5) < 3


def test_outside_the_photograph_there_is_no_black():
    photo = np.full((120, 120, 3), 200, np.uint8)
    aligned = align_face(photo, face_landmarks(centre=(10, 40), width=30), 128)
    assert aligned.image.min() >= 199


def test_paste_changes_nothing_outside_the_mask(astronaut, astronaut_face):
    aligned = align_face(astronaut, astronaut_face.landmarks, 256)
    pasted = paste_back(astronaut, np.full_like(aligned.image, 255), aligned.matrix)
    y, x = np.mgrid[0:512, 0:512]
    inside_square = transform_points(np.stack([x, y], axis=-1), aligned.matrix)
    outside = ((inside_square < -0.5) | (inside_square > 255.5)).any(-1)
    np.testing.assert_array_equal(pasted[outside], astronaut[outside])
    centre = transform_points(np.array([128.0, 128.0]), cv2.invertAffineTransform(aligned.matrix)).round().astype(int)
    assert pasted[centre[1], centre[0]].tolist() == [255, 255, 255]


def test_paste_fades_without_a_seam():
    photo = np.zeros((300, 300, 3), np.uint8)
    matrix = ffhq_transform(face_landmarks(centre=(150, 150), width=50, angle=0.2), 256)
    pasted = paste_back(photo, np.full((256, 256, 3), 255, np.uint8), matrix)[..., 0].astype(int)
    steps = max(np.abs(np.diff(pasted, axis=axis)).max() for axis in (0, 1))
    assert steps < 30
    assert pasted.max() == 255


@pytest.mark.parametrize(("size", "floor"), [(512, 40.0), (256, 38.0), (64, 24.0)])
def test_align_and_paste_back_of_an_unchanged_face_keep_the_photograph(astronaut, astronaut_face, size, floor):
    """The aligned square is 172 pixels wide, so that 512 enlarges it and 64 loses resolution."""
    aligned = align_face(astronaut, astronaut_face.landmarks, size)
    pasted = paste_back(astronaut, aligned.image, aligned.matrix)
    changed = (pasted != astronaut).any(-1)
    assert changed.mean() < 0.12
    assert psnr(pasted[changed], astronaut[changed]) > floor
    assert abs(pasted[changed].mean() - astronaut[changed].mean()) < 0.5


def test_the_photograph_itself_is_not_written_to(astronaut, astronaut_face):
    before = astronaut.copy()
    aligned = align_face(astronaut, astronaut_face.landmarks, 128)
    paste_back(astronaut, aligned.image, aligned.matrix)
    np.testing.assert_array_equal(astronaut, before)


def test_a_face_at_the_border_is_pasted_into_what_there_is():
    photo = np.zeros((100, 80, 3), np.uint8)
    landmarks = face_landmarks(centre=(75, 5), width=30)
    aligned = align_face(photo, landmarks, 128)
    pasted = paste_back(photo, np.full_like(aligned.image, 255), aligned.matrix)
    assert pasted.shape == photo.shape
    assert pasted[5, 75].tolist() == [255, 255, 255]
    assert pasted[99, 0].tolist() == [0, 0, 0]
