"""Relativistic logits and the R1 penalty by hand."""

import math

import pytest
import torch

from dmdnet.archs.multi_scale_discriminator import MultiScaleDiscriminator
from dmdnet.losses.base import LossInput
from dmdnet.losses.gan import GANLoss, relative, squared_gradient
from dmdnet.losses.judgement import Judge

BOXES = torch.zeros(1, 4, 4, dtype=torch.int32)


def softplus(x):
    return math.log1p(math.exp(x))


REAL, FAKE = [torch.tensor([[[[1.0, 3.0]]]])], [torch.tensor([[[[0.0, -1.0]]]])]  # means 2 and -0.5
# The real map less -0.5 is 1.5 and 3.5; the restored one less 2 is -2 and -3.
RELATIVE_VALUES = {
    # type: (discriminator on real, on fake, generator)
    "vanilla": (
        (softplus(-1.5) + softplus(-3.5)) / 2,
        (softplus(-2) + softplus(-3)) / 2,
        (softplus(2) + softplus(3)) / 2 + (softplus(1.5) + softplus(3.5)) / 2,
    ),
    "hinge": (0.0, 0.0, (3 + 4) / 2 + (2.5 + 4.5) / 2),
    "lsgan": ((0.25 + 6.25) / 2, (1 + 4) / 2, (9 + 16) / 2 + (6.25 + 20.25) / 2),
}


@pytest.mark.parametrize("gan_type", RELATIVE_VALUES)
def test_relativistic_values(gan_type):
    loss = GANLoss(gan_type=gan_type, relativistic=True)
    pred, target = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    inputs = LossInput(pred, target, BOXES, Judge(lambda image: REAL if image.sum() > 0 else FAKE))
    found = loss.real_loss(REAL, FAKE), loss.fake_loss(FAKE, REAL), loss(inputs)
    assert [value.item() for value in found] == pytest.approx(RELATIVE_VALUES[gan_type], rel=1e-5, abs=1e-6)


def test_relative_samples_do_not_see_each_other():
    maps = [torch.randn(3, 1, 4, 4), torch.randn(3, 1)]
    others = [torch.randn(3, 1, 4, 4), torch.randn(3, 1)]
    whole = relative(maps, others)
    alone = relative([item[1:2] for item in maps], [item[1:2] for item in others])
    for one, other in zip(whole, alone, strict=True):
        assert torch.equal(one[1:2], other)


def test_a_relativistic_generator_learns_from_the_real_logits_but_not_through_them():
    real = torch.full((1, 3, 4, 4), 2.0, requires_grad=True)
    pred = torch.zeros(1, 3, 4, 4, requires_grad=True)
    loss = GANLoss(gan_type="vanilla", relativistic=True)
    loss(LossInput(pred, real, BOXES, Judge(lambda image: [image * 1]))).sum().backward()
    assert real.grad is None
    # d/df of softplus(r - f) + softplus(r - f) at r - f = 2, over 48 logits
    torch.testing.assert_close(pred.grad, torch.full_like(pred, -2 / (1 + math.exp(-2)) / 48))


def test_the_squared_gradient_and_its_gradient_by_hand():
    scale = torch.tensor(1.5, requires_grad=True)
    image = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    found = squared_gradient(Judge(lambda x: [scale * x.square(), scale * x.square()]), image, BOXES)
    squares = image.square().flatten(1).sum(dim=1)
    torch.testing.assert_close(found, (2 * 1.5) ** 2 / 48 * squares)
    found.sum().backward()
    torch.testing.assert_close(scale.grad, 2 * 1.5 * 2**2 / 48 * squares.sum())


def test_of_logits_that_see_different_parts_it_is_the_mean_of_their_squared_gradients():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for size in (8, 4, 2, 1):  # each logit is the sum of its patch: its squared gradient is the number of its pixels
        net = Judge(lambda x, size=size: torch.nn.functional.avg_pool2d(x.sum(1, True), size) * size**2)
        assert squared_gradient(net, image, BOXES).item() == pytest.approx(3 * size**2)


def test_the_penalty_lowers_the_slope_of_a_discriminator():
    torch.manual_seed(0)
    net = MultiScaleDiscriminator(base_channels=4, num_scales=2, num_layers=2)
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    values = []
    for _ in range(8):
        optimiser.zero_grad()
        value = squared_gradient(Judge(net), image, BOXES).mean()
        value.backward()
        optimiser.step()
        values.append(value.item())
    assert values[-1] < 0.7 * values[0]


def test_autocast_does_not_reach_the_penalty():
    net = MultiScaleDiscriminator(base_channels=4, num_scales=1, num_layers=2).eval()
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    exact = squared_gradient(Judge(net), image, BOXES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(squared_gradient(Judge(net), image, BOXES), exact)


def test_the_penalty_is_lazy():
    loss = GANLoss(r1_gamma=10.0, r1_every=4)
    assert [iteration for iteration in range(1, 13) if loss.has_penalty(iteration)] == [4, 8, 12]
    assert loss.r1_weight == 10.0 / 2 * 4
    assert not GANLoss().has_penalty(16)
