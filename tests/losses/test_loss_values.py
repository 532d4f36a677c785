"""Values by hand."""

import math

import pytest
import torch

from dmdnet.losses.base import LossInput, build_losses, unique_names
from dmdnet.losses.component import box_masks, component_l1
from dmdnet.losses.gan import GANLoss
from dmdnet.losses.judgement import Judge
from dmdnet.losses.perceptual import gram_matrix
from dmdnet.losses.pixel import L1Loss, l1, mse
from dmdnet.registry import LOSSES


def test_pixel_losses_are_means_over_the_picture():
    target = torch.zeros(2, 3, 2, 2)
    pred = target.clone()
    pred[0, 0, 0, 0] = 0.6
    pred[1] = -0.5
    torch.testing.assert_close(l1(pred, target), torch.tensor([0.6 / 12, 0.5]))
    torch.testing.assert_close(mse(pred, target), torch.tensor([0.36 / 12, 0.25]))


def test_box_masks_leave_out_the_far_side():
    mask = box_masks(torch.tensor([[[1, 0, 3, 2], [2, 2, 2, 4]]]), 4, 4)[0]
    expected = torch.zeros(4, 4, dtype=torch.bool)
    expected[0:2, 1:3] = True
    assert torch.equal(mask[0], expected)
    assert not mask[1].any()


def test_component_l1_counts_eyes_and_mouth_alike_and_the_nose_not_at_all():
    boxes = torch.tensor([[[0, 0, 2, 2], [4, 0, 8, 4], [0, 4, 4, 8], [4, 4, 8, 8]]])
    pred = torch.zeros(1, 3, 8, 8)
    pred[..., 0:2, 0:2] = 0.3  # left eye, 4 pixels
    pred[..., 0:4, 4:8] = 0.6  # right eye, 16 pixels
    pred[..., 4:8, 0:4] = 9.0  # nose
    torch.testing.assert_close(component_l1(pred, torch.zeros_like(pred), boxes), torch.tensor([0.3]))


def test_component_l1_of_an_empty_box_is_zero():
    boxes = torch.zeros(1, 4, 4, dtype=torch.int32)
    pred = torch.ones(1, 3, 4, 4, requires_grad=True)
    value = component_l1(pred, torch.zeros(1, 3, 4, 4), boxes)
    value.sum().backward()
    assert value.item() == 0
    assert torch.equal(pred.grad, torch.zeros_like(pred))


def softplus(x):
    return math.log1p(math.exp(x))


GAN_VALUES = {
    # type: (generator on 0.5, real on 0.5, fake on 0.5, real on 2, fake on -2)
    "hinge": (-0.5, 0.5, 1.5, 0.0, 0.0),
    "vanilla": (softplus(-0.5), softplus(-0.5), softplus(0.5), softplus(-2), softplus(-2)),
    "lsgan": (0.25, 0.25, 0.25, 1.0, 4.0),
}


@pytest.mark.parametrize("gan_type", GAN_VALUES)
def test_gan_values(gan_type):
    loss = GANLoss(gan_type=gan_type)

    def maps(value):
        return [torch.full((1, 1, 4, 4), value), torch.full((1, 1, 2, 2), value)]

    picture = torch.zeros(1, 3, 4, 4)
    inputs = LossInput(picture, picture, torch.zeros(1, 4, 4), Judge(lambda image: maps(0.5)))
    found = (
        loss(inputs),
        loss.real_loss(maps(0.5), maps(9.0)),
        loss.fake_loss(maps(0.5), maps(9.0)),
        loss.real_loss(maps(2.0), maps(9.0)),
        loss.fake_loss(maps(-2.0), maps(9.0)),
    )
    assert [value.item() for value in found] == pytest.approx(GAN_VALUES[gan_type], abs=1e-6)


def test_gan_scales_count_alike_whatever_their_size():
    loss = GANLoss(gan_type="lsgan")
    maps = [torch.full((1, 1, 8, 8), 1.0), torch.full((1, 1, 1, 1), 3.0)]
    assert loss.real_loss(maps, maps).item() == pytest.approx((0 + 4) / 2)


def test_gram_matrix_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels of two pixels
    expected = torch.tensor([[[5.0, 11.0], [11.0, 25.0]]]) / 4
    torch.testing.assert_close(gram_matrix(features), expected)


def test_names_in_logs_are_unique():
    losses = build_losses([LOSSES.component("L1Loss"), LOSSES.component("GANLoss"), LOSSES.component("L1Loss")])
    assert unique_names(losses) == ("l1", "gan", "l1_2")
    assert isinstance(losses[2], L1Loss)
