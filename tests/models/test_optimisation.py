"""Learning rates, clipping and the state of one network's optimiser."""

import copy

import pytest
import torch
from torch import nn

from dmdnet.errors import CheckpointError
from dmdnet.models.optimisation import Optimisation, warmup_factor
from dmdnet.registry import OPTIMIZERS, SCHEDULERS


@pytest.fixture
def optimisation(options):
    """Build the optimisation of a network with the recipe's options changed."""

    def build(network, lr=0.1, **train):
        recipe = options(**train).train
        return Optimisation(network, OPTIMIZERS.component("Adam", lr=lr), recipe)

    return build


def convolution():
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 3)


def train_some(network, steps, iterations=3, start=1):
    for iteration in range(start, start + iterations):
        steps.set_learning_rate(iteration)
        image = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(iteration))
        steps.zero_grad()
        network(image).square().mean().backward()
        steps.gradient_norm()
        steps.step()


def test_warm_up_is_linear():
    assert [warmup_factor(n, 4) for n in (1, 2, 4, 9)] == [0.25, 0.5, 1.0, 1.0]
    assert warmup_factor(1, 0) == 1.0


def test_rate_is_schedule_times_warm_up(optimisation):
    scheduler = SCHEDULERS.component("MultiStepLR", milestones=(2,), gamma=0.1)
    steps = optimisation(convolution(), scheduler=scheduler, warmup_iter=4)
    assert [steps.set_learning_rate(n) for n in (1, 2, 3, 4)] == pytest.approx([0.025, 0.05, 0.0075, 0.01])
    assert steps.optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


def test_gradients_are_clipped_to_the_norm(optimisation):
    network = convolution()
    steps = optimisation(network, grad_clip_norm=0.01)
    network(torch.ones(1, 3, 8, 8)).square().sum().backward()
    norm = steps.gradient_norm()
    assert norm > 1
    steps.step()
    clipped = torch.stack([item.grad.norm() for item in network.parameters()]).norm()
    assert clipped == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_resumed_updates_are_the_same_whatever_the_memory_format_was(optimisation, memory_format):
    one = convolution().to(memory_format=torch.channels_last)
    steps = optimisation(one)
    train_some(one, steps)
    saved = copy.deepcopy(steps.state_dict())
    for moments in saved["state"].values():
        for name in ("exp_avg", "exp_avg_sq"):
            if moments[name].dim() == 4:
                moments[name] = moments[name].contiguous(memory_format=memory_format)
    two = convolution().to(memory_format=torch.channels_last)
    two.load_state_dict(one.state_dict())
    resumed = optimisation(two)
    resumed.load_state_dict(saved)
    train_some(one, steps, start=4)
    train_some(two, resumed, start=4)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_rates_come_from_the_options_not_from_the_saved_state(optimisation):
    network = convolution()
    steps = optimisation(network, lr=0.1)
    train_some(network, steps)
    resumed = optimisation(network, lr=0.5)
    resumed.load_state_dict(steps.state_dict())
    assert resumed.set_learning_rate(4) == 0.5
    assert resumed.optimizer.param_groups[0]["lr"] == 0.5
    assert resumed.optimizer.state[network.weight]["step"] == 3


def test_state_of_other_parameters_is_refused(optimisation):
    steps = optimisation(nn.Sequential(convolution(), convolution()))
    with pytest.raises(CheckpointError, match="does not fit the network"):
        steps.load_state_dict(optimisation(convolution()).state_dict())


def test_torch_is_told_the_kind_of_optimiser_that_is_here_and_not_the_saved_one(optimisation, options, monkeypatch):
    """It looks there for where the counts of steps belong; fused kernels on a GPU read them from its memory."""
    network = convolution()
    saving = Optimisation(network, OPTIMIZERS.component("Adam", lr=0.1, implementation="foreach"), options().train)
    train_some(network, saving)
    taken = []
    load = torch.optim.Adam.load_state_dict
    monkeypatch.setattr(
        torch.optim.Adam, "load_state_dict", lambda self, state: (taken.append(state), load(self, state))
    )
    fused = Optimisation(network, OPTIMIZERS.component("Adam", lr=0.1, implementation="fused"), options().train)
    saved = saving.state_dict()
    fused.load_state_dict(saved)
    assert saved["param_groups"][0]["fused"] is not True
    assert taken[0]["param_groups"][0]["fused"] is True
    assert taken[0]["param_groups"][0]["params"] == saved["param_groups"][0]["params"]
    assert fused.optimizer.param_groups[0]["fused"] is True
