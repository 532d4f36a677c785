"""The average of the weights."""

import copy

import pytest
import torch
from torch import nn

from dmdnet.models.ema import EMA, ema_decay_at


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
