"""The average of the weights."""

import copy

import pytest
import torch
from torch import nn

from dmdnet.models.ema import EMA, _unless, ema_decay_at


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_decay_rises_to_its_value():
    assert ema_decay_at(1, 0.999) == pytest.approx(2 / 11)
    assert ema_decay_at(90, 0.999) == pytest.approx(91 / 100)
    assert ema_decay_at(10**6, 0.999) == 0.999
    assert ema_decay_at(1, 0.1) == 0.1


def test_average_is_a_loop_over_the_parameters():
    source = small_network()
    ema = EMA(copy.deepcopy(source), source, 0.9)
    expected = {name: item.detach().clone() for name, item in source.named_parameters()}
    for iteration in range(1, 30):
        with torch.no_grad():
            for item in source.parameters():
                item.add_(torch.randn_like(item))
        ema.update(iteration)
        decay = ema_decay_at(iteration, 0.9)
        for name, item in source.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * item.detach()
    for name, item in ema.module.named_parameters():
        torch.testing.assert_close(item, expected[name], rtol=1e-6, atol=1e-6)


def test_buffers_are_copied_not_averaged():
    source = small_network()
    ema = EMA(copy.deepcopy(source), source, 0.9)
    source(torch.randn(8, 3))
    ema.update(1)
    for mine, theirs in zip(ema.module.buffers(), source.buffers(), strict=True):
        assert torch.equal(mine, theirs)
    assert not ema.module.training
    assert not any(item.requires_grad for item in ema.module.parameters())


def test_reset_makes_it_equal_to_the_source():
    source = small_network()
    ema = EMA(copy.deepcopy(source), source, 0.9)
    with torch.no_grad():
        source[0].weight.add_(1)
    ema.reset()
    assert torch.equal(ema.module[0].weight, source[0].weight)


@pytest.mark.parametrize("skip", [0.0, 1.0])
def test_a_step_that_was_left_out_does_not_move_the_average(skip):
    """Without reading the verdict on the host, as on a GPU, and to the bit."""
    mine = [torch.randn(5, 3), torch.randn(7)]
    theirs = [torch.randn(5, 3), torch.randn(7)]
    chosen = _unless(torch.tensor(skip), theirs, mine)
    for weight in (0.001, 0.8):
        averages = [item.clone() for item in mine]
        torch._foreach_lerp_(averages, chosen, weight)
        expected = [item.clone() for item in mine]
        if not skip:
            torch._foreach_lerp_(expected, theirs, weight)
        assert all(torch.equal(a, b) for a, b in zip(averages, expected, strict=True))


def test_the_foreach_update_is_the_loop_to_the_last_bit_but_one():
    source = small_network()
    ema = EMA(copy.deepcopy(source), source, 0.9)
    with torch.no_grad():
        for item in source.parameters():
            item.add_(torch.randn_like(item))
    expected = [torch.lerp(a, b, 1 - ema_decay_at(5, 0.9)) for a, b in zip(ema._mine, ema._theirs, strict=True)]
    ema.update(5)
    for item, wanted in zip(ema.module.parameters(), expected, strict=True):
        ulp = torch.nextafter(wanted.abs(), torch.tensor(torch.inf)) - wanted.abs()
        assert ((item - wanted).abs() <= ulp).all()
