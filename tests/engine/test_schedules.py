"""Schedules as functions of the iteration, and the optimisers by BasicSR's names."""

import itertools

import pytest
import torch
from pydantic import ValidationError

from dmdnet.errors import ConfigError
from dmdnet.registry import OPTIMIZERS, SCHEDULERS


def schedule(name, total_iter=100, **options):
    return SCHEDULERS.build(SCHEDULERS.component(name, **options), total_iter=total_iter)


@pytest.mark.parametrize(
    ("name", "options"),
    [("ConstantLR", {}), ("MultiStepLR", {"milestones": (10,)}), ("CosineAnnealingLR", {})],
)
def test_every_schedule_starts_at_one_and_never_rises(name, options):
    factors = [schedule(name, **options)(iteration) for iteration in range(1, 101)]
    assert factors[0] == 1
    assert all(0 <= later <= earlier for earlier, later in itertools.pairwise(factors))


def test_all_schedules_are_tested_above():
    assert SCHEDULERS.names() == ["ConstantLR", "CosineAnnealingLR", "MultiStepLR"]


def test_multi_step_falls_after_each_milestone():
    found = schedule("MultiStepLR", milestones=(10, 20), gamma=0.1)
    assert [found(n) for n in (10, 11, 20, 21)] == pytest.approx([1, 0.1, 0.1, 0.01])
    with pytest.raises(ConfigError, match="must rise"):
        schedule("MultiStepLR", milestones=(20, 10))


def test_cosine_matches_torchs():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=2.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.2)
    found = schedule("CosineAnnealingLR", total_iter=50, eta_min_ratio=0.1)
    for iteration in range(1, 51):
        assert 2.0 * found(iteration) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        optimizer.step()
        reference.step()


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_optimisers_are_torchs(name):
    mine, theirs = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    theirs.load_state_dict(mine.state_dict())
    component = OPTIMIZERS.component(name, lr=0.01, betas=(0.5, 0.9), weight_decay=0.1)
    pair = (
        OPTIMIZERS.build(component, params=mine.parameters()),
        getattr(torch.optim, name)(theirs.parameters(), lr=0.01, betas=(0.5, 0.9), weight_decay=0.1),
    )
    for _ in range(5):
        for network, optimizer in zip((mine, theirs), pair, strict=True):
            optimizer.zero_grad()
            network(torch.ones(4, 3)).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(mine.weight, theirs.weight)


def test_a_rate_of_zero_or_below_is_refused():
    with pytest.raises(ValidationError):
        OPTIMIZERS.component("Adam", lr=0.0)
