"""Runs with `non_finite: skip`: the bad steps leave no trace, and stopping in between changes no bit."""

import logging

import pytest
import torch

from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.run_folder import run_folder
from dmdnet.engine.train import train
from dmdnet.errors import NonFiniteLossError
from dmdnet.models.dmdnet_model import DMDNetModel


@pytest.fixture
def bad_at(monkeypatch):
    """Make the first loss NaN at some iterations of every run."""

    def spoil(*iterations):
        step = DMDNetModel.step

        def spoilt(self, batch, iteration):
            loss = self.objective.losses[0]
            forward = type(loss).forward
            factor = torch.nan if iteration in iterations else 1.0
            loss.forward = lambda inputs: forward(loss, inputs) * factor
            return step(self, batch, iteration)

        monkeypatch.setattr(DMDNetModel, "step", spoilt)

    return spoil


def tensors_of(options, iteration):
    def walk(value, prefix=""):
        if isinstance(value, torch.Tensor):
            yield prefix, value
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from walk(item, f"{prefix}/{key}")

    weights, state = CheckpointFolder(run_folder(options)).load(iteration)
    return dict(walk({"weights": weights, "model": state["model"]})), state["model"]


def test_a_run_goes_past_bad_steps_and_resumes_between_them_to_the_bit(tiny, bad_at, caplog):
    """Bad at 2, where the checkpoint is from which the second run goes on, and at 3."""
    bad_at(2, 3)
    recipe = {"non_finite": "skip", "max_non_finite": 2, "total_iter": 5}
    whole = tiny(name="whole", gan_start=1, train=recipe)
    with caplog.at_level(logging.WARNING, "dmdnet"):
        train(whole)
    assert "iteration 2: l_g_l1_generic is nan for " in caplog.text
    assert "iteration 3: l_g_l1_generic is nan for " in caplog.text
    train(tiny(name="parts", gan_start=1, train={**recipe, "total_iter": 2}))
    parts = tiny(name="parts", gan_start=1, train=recipe)
    train(parts)
    (one, _), (two, _) = tensors_of(whole, 5), tensors_of(parts, 5)
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []
    assert all(value.isfinite().all() for value in one.values() if value.is_floating_point())


def test_the_count_of_bad_steps_in_a_row_survives_a_restart(tiny, bad_at):
    bad_at(2, 3)
    recipe = {"non_finite": "skip", "max_non_finite": 1}
    train(tiny(train={**recipe, "total_iter": 2}))
    assert tensors_of(tiny(), 2)[1]["non_finite"] == {"in_a_row": 1}
    with pytest.raises(NonFiniteLossError, match=r"iteration 3: .*number 2 in a row \(train\.max_non_finite: 1\)"):
        train(tiny(train={**recipe, "total_iter": 4}))
