"""What a recogniser sees of a face: where its points come to lie, and what flows back."""

import numpy as np
import pytest
import torch

from dmdnet.data.demo_faces import Identity, Shot, draw_face
from dmdnet.faces.align import warp
from dmdnet.faces.component_boxes import component_boxes
from dmdnet.faces.facexlib_backend import _similarity
from dmdnet.faces.five_points import CHIP_POINTS_5, FIVE_OF_68
from dmdnet.features.face_crop import CHIP_POINTS, aligned_chip, centre_chip, face_points, five_point_chip
from dmdnet.images import from_hwc, to_float, to_hwc, to_uint8
from dmdnet.ops.similarity_crop import to_picture

SIZE = 512
TEMPLATE = torch.tensor(CHIP_POINTS)


@pytest.fixture(scope="module")
def faces():
    """Drawn faces: pictures (B, 3, 512, 512) in [-1, 1], landmarks (B, 68, 2), boxes (B, 4, 4)."""
    drawn = [draw_face(Identity.sample(0, who), Shot.sample(0, who, shot), SIZE) for who in (0, 1) for shot in (0, 1)]
    images = torch.stack([to_float(from_hwc(face.image)) for face in drawn])
    landmarks = np.stack([face.landmarks for face in drawn])
    return images, landmarks, torch.from_numpy(component_boxes(landmarks, SIZE))


def test_five_points_are_those_of_the_back_end(faces):
    """The back end cuts the same chip out of a picture with OpenCV, one face at a time."""
    images, landmarks, _ = faces
    chips = five_point_chip(images, torch.from_numpy(landmarks).float())
    for image, points, chip in zip(images, landmarks, chips, strict=True):
        rgb = to_hwc(to_uint8(image))
        expected = warp(rgb, _similarity(FIVE_OF_68 @ points, CHIP_POINTS_5), (112, 112))
        off = np.abs(to_hwc(to_uint8(chip)).astype(int) - expected)
        assert off.mean() < 1.0


def test_boxes_give_back_the_eyes_and_the_mouth(faces):
    _, landmarks, boxes = faces
    found = face_points(boxes).numpy()
    for index, points in enumerate((slice(36, 42), slice(42, 48), slice(48, 68))):
        expected = landmarks[:, points].mean(axis=1)
        assert np.linalg.norm(found[:, index] - expected, axis=1).max() < 1.6


def test_the_chip_is_near_that_of_five_landmarks(faces):
    _, landmarks, boxes = faces
    grid = torch.tensor([[0.0, 0.0], [111.0, 0.0], [0.0, 111.0], [111.0, 111.0], [55.5, 55.5]])
    places = to_picture(grid, face_points(boxes), TEMPLATE).numpy()
    for points, place in zip(landmarks, places, strict=True):
        matrix = _similarity(FIVE_OF_68 @ points, CHIP_POINTS_5)
        off = np.linalg.norm(place @ matrix[:, :2].T + matrix[:, 2] - grid.numpy(), axis=1)
        assert off[4] < 2  # of 112 pixels, in the middle
        assert off.max() < 6.5  # at a corner


def test_the_chip_follows_the_face_and_the_centre_does_not(faces):
    images, _, boxes = faces
    moved = torch.roll(images, (24, -16), dims=(2, 3))
    moved_boxes = boxes + torch.tensor([-16, 24, -16, 24], dtype=boxes.dtype)
    inner = (..., slice(20, 92), slice(20, 92))
    followed = aligned_chip(moved, moved_boxes, TEMPLATE) - aligned_chip(images, boxes, TEMPLATE)
    assert followed[inner].abs().max() < 1e-4
    assert (centre_chip(moved) - centre_chip(images)).abs().mean() > 0.02


def test_the_centre_of_512_pixels_is_averages_of_four_by_four():
    image = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    expected = image[..., 32:480, 32:480].unflatten(3, (112, 4)).unflatten(2, (112, 4)).mean(dim=(3, 5))
    torch.testing.assert_close(centre_chip(image), expected)
    assert centre_chip(image[..., :64, :64]).shape == (1, 3, 112, 112)


def test_gradients_reach_every_pixel_of_the_face(faces):
    images, _, boxes = faces
    pred = images[:1].clone().requires_grad_()
    aligned_chip(pred, boxes[:1], TEMPLATE).sum().backward()
    x0, y0, x1, y1 = boxes[0, 0].tolist()
    assert (pred.grad[0, :, y0:y1, x0:x1] != 0).all()
