"""The gradient of each term alone."""

import copy

import pytest
import torch

from dmdnet.models.base import build_model
from dmdnet.models.gradient_norms import undisturbed
from dmdnet.registry import LOSSES


@pytest.fixture
def trained(options):
    """Build a model that measures every `every` iterations, with two losses and adversarial training from 2."""

    def build(every, gan=True, **train):
        made = options(gan_start=2 if gan else None, **train)
        losses = (*made.train.losses, LOSSES.component("ComponentL1Loss", loss_weight=5.0))
        if gan:
            losses = (*losses[:1], *losses[2:], LOSSES.component("GANLoss", start_iter=2, r1_gamma=1.0, r1_every=2))
        recipe = made.train.model_copy(update={"losses": losses})
        logger = made.logger.model_copy(update={"grad_norm_freq": every})
        return build_model(made.model_copy(update={"train": recipe, "logger": logger}), "cpu")

    return build


def everything(model):
    state = {f"{file}.{key}": value for file, part in model.weights().items() for key, value in part["params"].items()}
    for name, part in model.state_dict().items():
        for index, moments in part.get("state", {}).items():
            state |= {f"{name}.{index}.{key}": value for key, value in moments.items()}
    return copy.deepcopy(state)


@pytest.mark.parametrize("recipe", [{}, {"activation_checkpointing": True}, {"accumulate": 2, "amp": "bf16"}])
def test_the_weights_do_not_depend_on_whether_norms_are_measured(trained, batch, recipe):
    quiet, measured = trained(None, **recipe), trained(1, **recipe)
    for model in (quiet, measured):
        torch.manual_seed(7)
        for iteration in range(1, 3):
            logs = model.step(batch((2, 1, 0, 1), seed=iteration), iteration)
        model.drawn = torch.rand(3)
    assert torch.equal(quiet.drawn, measured.drawn)  # torch's generator was not used either
    before, after = everything(quiet), everything(measured)
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert {name for name in logs if name.startswith("grad_norm_l_")} == {
        "grad_norm_l_g_l1_generic",
        "grad_norm_l_g_l1_specific",
        "grad_norm_l_g_component_generic",
        "grad_norm_l_g_component_specific",
        "grad_norm_l_g_gan_generic",
        "grad_norm_l_g_gan_specific",
        "grad_norm_l_d_real",
        "grad_norm_l_d_fake",
        "grad_norm_l_d_r1",
    }
    assert all(logs[name].value() > 0 for name in logs if name.startswith("grad_norm_l_"))


def test_the_dictionary_s_use_is_counted_once_a_step(trained, batch):
    quiet, measured = (trained(every, gan=False) for every in (None, 1))
    for model in (quiet, measured):
        model.step(batch(), 1)
    assert quiet.statistics() == measured.statistics()


def test_the_gradient_of_an_only_term_is_that_of_the_step(options, batch):
    made = options()
    made = made.model_copy(update={"logger": made.logger.model_copy(update={"grad_norm_freq": 2})})
    model = build_model(made, "cpu")
    faces = batch((0, 0))  # no references: the specific output counts nothing
    assert not [name for name in model.step(faces, 1) if name.startswith("grad_norm_l_")]
    logs = model.step(faces, 2)
    assert logs["grad_norm_l_g_l1_generic"].value() == pytest.approx(logs["grad_norm_net_g"].value(), rel=1e-5)
    assert logs["grad_norm_l_g_l1_specific"].value() == 0


def test_a_norm_that_is_not_finite_counts_nothing(trained, batch, monkeypatch):
    model = trained(1, gan=False)
    loss = model.objective.losses[0]
    forward = loss.forward
    monkeypatch.setattr(loss, "forward", lambda inputs: forward(inputs) * float("inf"))
    norms = model._term_norms(batch(), None, 1)
    assert norms["grad_norm_l_g_l1_generic"].weight == 0
    assert norms["grad_norm_l_g_component_generic"].value() > 0


def test_buffers_and_generators_come_back():
    network = torch.nn.BatchNorm1d(3)
    state = copy.deepcopy(network.state_dict())
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with undisturbed([network], torch.device("cpu")) as set_back:
        network(torch.rand(4, 3))
        assert network.num_batches_tracked == 1
        set_back()
        assert network.num_batches_tracked == 0
        network(torch.rand(4, 3))
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert torch.equal(torch.rand(2), expected)
