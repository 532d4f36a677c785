"""Parts that are not trained, and parts that are trained at a rate of their own."""

import copy

import pytest

from dmdnet.errors import CheckpointError, ConfigError
from dmdnet.models.parameter_groups import matches


def moved(model, start):
    """Return the names in the generator's state that training has changed."""
    return {name for name, value in model.net_g.state_dict().items() if not value.equal(start[name])}


def test_a_name_a_part_and_a_wildcard_match():
    assert matches("decoder.blocks.0.scale.0.bias", "decoder.blocks")
    assert matches("decoder.blocks.0.scale.0.bias", "decoder.blocks.0.scale.0.bias")
    assert matches("decoder.blocks.0.scale.0.bias", "*.bias")
    assert not matches("decoder.blocks_2.bias", "decoder.blocks")


def test_frozen_parts_stay_as_they_are_buffers_included(model, batch):
    patterns = ("degraded_encoder", "reference_encoder.stages.[01]")
    trained = model(gan_start=0, freeze=patterns)
    start = copy.deepcopy(trained.net_g.state_dict())
    trained.restore(batch(), ("generic",), use_ema=False)  # sets the network's mode back to training
    for iteration in (1, 2):
        trained.step(batch(), iteration)
    changed = moved(trained, start)
    frozen = {
        name for name in start if matches(name, "degraded_encoder") or matches(name, "reference_encoder.stages.[01]")
    }
    assert frozen
    assert not frozen & changed
    assert {name for name in start if matches(name, "decoder") and "weight_orig" in name} <= changed


def test_groups_move_by_their_rates(model, batch):
    """Adam's first step is the learning rate, whatever the gradient."""
    trained = model(lr_multipliers={"generic": 0.1, "*encoder.stages.0": 10.0})
    start = copy.deepcopy(trained.net_g.state_dict())
    logs = trained.step(batch(), 1)
    assert logs["lr"].value() == pytest.approx(1e-3)
    now = trained.net_g.state_dict()
    for prefix, rate in (("generic", 1e-4), ("degraded_encoder.stages.0", 1e-2), ("decoder", 1e-3)):
        names = [name for name, _ in trained.net_g.named_parameters() if name.startswith(prefix)]
        largest = max(float((now[name] - start[name]).abs().max()) for name in names)
        assert largest == pytest.approx(rate, rel=0.01)


def test_a_multiplier_of_one_changes_no_bit(model, batch):
    plain, grouped = model(), model(lr_multipliers={"decoder": 1.0})
    for iteration in (1, 2):
        for each in (plain, grouped):
            each.step(batch(seed=iteration), iteration)
    other = grouped.net_g.state_dict()
    assert all(value.equal(other[name]) for name, value in plain.net_g.state_dict().items())


def test_unknown_names_are_refused_with_near_ones(model):
    with pytest.raises(ConfigError, match=r"train\.freeze: 'degraded_encoders' fits nothing of DMDNet; near are d"):
        model(freeze=("degraded_encoders",))
    with pytest.raises(ConfigError, match=r"train\.lr_multipliers: 'zzz' fits nothing of DMDNet; near are .*decoder"):
        model(lr_multipliers={"zzz": 2.0})
    with pytest.raises(ConfigError, match=r"train\.lr_multipliers\.decoder: all it names is frozen"):
        model(freeze=("decoder",), lr_multipliers={"decoder": 2.0})
    with pytest.raises(ConfigError, match="nothing of network_g is left to train"):
        model(freeze=("*",))


def test_a_state_with_other_groups_is_refused(model, batch):
    grouped, plain = model(lr_multipliers={"decoder": 2.0}), model()
    grouped.step(batch(), 1)
    with pytest.raises(CheckpointError, match="does not fit the network: it has the parameters in other groups"):
        plain.load_state_dict(grouped.state_dict())


def test_a_state_of_other_parameters_of_the_same_shapes_is_refused(model):
    """By their places alone the moments of one layer would go to another."""
    frozen = [model(freeze=(f"degraded_encoder.stages.0.1.body.{number}",)) for number in (0, 2)]
    state = frozen[0].state_dict()
    named = [name for group in state["optim_g"]["names"] for name in group]
    assert len(named) == len(set(named)) == len(frozen[1].optim_g.parameters)
    with pytest.raises(CheckpointError, match=r"other parameters were trained \(.*train\.freeze"):
        frozen[1].load_state_dict(state)
    del state["optim_g"]["names"]  # as version 0.1 saved it
    frozen[0].load_state_dict(state)
