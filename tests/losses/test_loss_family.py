"""What every registered loss promises: a float32 value per sample that depends on that sample alone."""

from dataclasses import replace

import pytest
import torch

from dmdnet.losses.base import build_losses
from dmdnet.registry import LOSSES

pytestmark = pytest.mark.usefixtures("vgg19_folder", "drawn_weights")


def build(name):
    return build_losses([LOSSES.component(name)])[0]


def take(inputs, rows):
    return replace(
        inputs,
        pred_BCHW=inputs.pred_BCHW[rows],
        target_BCHW=inputs.target_BCHW[rows],
        boxes_B44=inputs.boxes_B44[rows],
        pred_memo={},
        target_memo={},
    )


@pytest.mark.parametrize("name", LOSSES.names())
def test_one_float32_value_per_sample_with_finite_gradient(name, loss_input):
    inputs = loss_input()
    value = build(name)(inputs)
    assert value.shape == (3,)
    assert value.dtype == torch.float32
    (gradient,) = torch.autograd.grad(value.sum(), inputs.pred_BCHW)
    assert torch.isfinite(gradient).all()
    assert (gradient.flatten(1).abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("name", LOSSES.names())
def test_the_gradient_is_the_slope(name, loss_input):
    inputs, loss = loss_input(), build(name)
    (gradient,) = torch.autograd.grad(loss(inputs).sum(), inputs.pred_BCHW)
    step = 1e-3 * gradient / gradient.abs().max()
    with torch.no_grad():
        higher, lower = (loss(replace(inputs, pred_BCHW=inputs.pred_BCHW + side * step, pred_memo={})).double().sum()
                         for side in (1, -1))  # fmt: skip
    assert (higher - lower).item() == pytest.approx(2 * (gradient * step).double().sum().item(), rel=0.05, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES.names())
def test_samples_do_not_see_each_other(name, loss_input):
    inputs = loss_input()
    loss = build(name)
    whole = loss(inputs)
    alone = torch.cat([loss(take(inputs, slice(index, index + 1))) for index in range(3)])
    torch.testing.assert_close(whole, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES.names())
def test_bfloat16_autocast_stays_close(name, loss_input):
    loss = build(name)
    exact = loss(loss_input())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = loss(loss_input())
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.03, atol=1e-3)


@pytest.mark.parametrize("name", LOSSES.names())
def test_start_iteration_and_weight_decide_whether_it_counts(name):
    loss = LOSSES.build(LOSSES.component(name, start_iter=5, loss_weight=2.0))
    assert (loss.active(4), loss.active(5)) == (False, True)
    assert loss.loss_weight == 2.0
    assert not LOSSES.build(LOSSES.component(name, loss_weight=0.0)).active(1)
