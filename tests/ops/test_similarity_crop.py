"""The turned square against OpenCV, its gradient, and points that give no direction."""

import cv2
import numpy as np
import pytest
import torch

from dmdnet.ops.similarity_crop import similarity_crop, to_picture

TEMPLATE = torch.tensor([[5.0, 7.0], [15.0, 6.0], [10.0, 16.0]])


def smooth(batch=2, size=48, dtype=torch.float32):
    small = torch.rand(batch, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return torch.nn.functional.interpolate(small, size=size, mode="bicubic")


def turned(angle, scale, shift):
    """Where the template's points lie in a picture, and the matrix from the square to it."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.column_stack([turn, shift])
    return torch.from_numpy(TEMPLATE.numpy() @ turn.T + shift).float(), matrix


@pytest.mark.parametrize("samples", [1, 2])
def test_it_is_opencvs_warp(samples):
    images = smooth()
    cases = [turned(0.4, 1.3, (14.0, 6.0)), turned(-0.2, 1.9, (3.0, 8.0))]
    points = torch.stack([item[0] for item in cases])
    found = similarity_crop(images, points, TEMPLATE, 20, samples)
    for image, result, (_, matrix) in zip(images, found, cases, strict=True):
        fine = matrix.copy()  # from the finer square
        fine[:, :2] /= samples
        fine[:, 2] -= fine[:, :2].sum(axis=1) * (samples - 1) / 2
        expected = cv2.warpAffine(
            image.permute(1, 2, 0).numpy(),
            fine,
            (20 * samples, 20 * samples),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        expected = torch.from_numpy(expected).permute(2, 0, 1)
        expected = torch.nn.functional.avg_pool2d(expected, samples)
        torch.testing.assert_close(result, expected, rtol=0, atol=0.02)  # OpenCV rounds places to 1/32 of a pixel


def test_points_that_do_not_fit_exactly_are_fitted_in_the_squares_pixels():
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(1, 3, 2, generator=generator) * 40
    a = torch.cat([points[0] - points[0].mean(0)])
    t = TEMPLATE - TEMPLATE.mean(0)
    design = torch.cat([torch.stack([a[:, 0], -a[:, 1]], 1), torch.stack([a[:, 1], a[:, 0]], 1)])
    cosine, sine = torch.linalg.lstsq(design, torch.cat([t[:, 0], t[:, 1]])[:, None]).solution.flatten()
    found = to_picture(TEMPLATE, points, TEMPLATE)[0] - points[0].mean(0)
    back = torch.stack([cosine * found[:, 0] - sine * found[:, 1], sine * found[:, 0] + cosine * found[:, 1]], 1)
    torch.testing.assert_close(back, t, rtol=1e-3, atol=1e-3)


def test_the_gradient_is_right_and_deterministic():
    images = smooth(1, 12, torch.float64).requires_grad_()
    points = turned(0.3, 0.8, (2.0, 1.0))[0][None]
    assert torch.autograd.gradcheck(lambda x: similarity_crop(x, points, TEMPLATE, 6, 2), images)


def test_points_in_one_place_give_an_unturned_square():
    images = smooth(1)
    found = similarity_crop(images, torch.full((1, 3, 2), 20.0), TEMPLATE, 8)
    assert found.isfinite().all()


def test_autocast_does_not_reach_it():
    images, points = smooth(), torch.stack([turned(0.4, 1.3, (14.0, 6.0))[0]] * 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = similarity_crop(images, points, TEMPLATE, 20)
    assert torch.equal(found, similarity_crop(images, points, TEMPLATE, 20))
