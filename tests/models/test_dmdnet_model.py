"""One training step of DMDNet."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from dmdnet.errors import CheckpointError, ConfigError, DataError, NetworkInputError, NonFiniteLossError
from dmdnet.models.base import build_model
from dmdnet.registry import ARCHS, LOSSES


def snapshot(model):
    """Copy everything that training changes."""
    weights = copy.deepcopy(model.weights())
    parameters = {
        f"{file}.{kind}.{key}": value
        for file, part in weights.items()
        for kind in ("params", "params_ema")
        for key, value in part.get(kind, {}).items()
    }
    return parameters, copy.deepcopy(model.state_dict())


def assert_unchanged(model, before):
    parameters, state = snapshot(model)
    assert parameters.keys() == before[0].keys()
    assert all(torch.equal(value, before[0][key]) for key, value in parameters.items())
    for name in state:
        moments_before = before[1][name].get("state", {})
        for index, moments in state[name].get("state", {}).items():
            assert all(torch.equal(value, moments_before[index][key]) for key, value in moments.items())


def test_steps_lower_the_loss_and_log_every_term(model, batch):
    trained = model(gan_start=0)
    faces = batch()
    faces = replace(faces, gt_BCHW=torch.full_like(faces.gt_BCHW, 40))
    first = trained.step(faces, 1)
    for iteration in range(2, 8):
        last = trained.step(faces, iteration)
    assert set(first) == {
        "lr",
        "lr_net_d",
        "l_g_l1_generic",
        "l_g_l1_specific",
        "l_g_gan_generic",
        "l_g_gan_specific",
        "l_d_real",
        "l_d_fake",
        "grad_norm_net_g",
        "grad_norm_net_d",
    }
    assert last["l_g_l1_generic"].value() < 0.9 * first["l_g_l1_generic"].value()
    assert last["l_g_l1_specific"].value() < 0.9 * first["l_g_l1_specific"].value()
    assert first["lr"].value() == pytest.approx(1e-3)


@pytest.mark.parametrize("counts", [(2, 1), (0, 0), (0, 1), None])
def test_every_parameter_has_a_gradient_whatever_references_there_are(model, batch, counts):
    trained = model()
    trained.step(batch(counts), 1)
    assert [name for name, item in trained.net_g.named_parameters() if item.grad is None] == []


def test_the_specific_output_counts_only_where_there_are_references(model, batch):
    trained = model()
    faces = batch((2, 0, 1))
    logs = trained.step(faces, 1)
    assert logs["l_g_l1_generic"].weight == 3
    assert logs["l_g_l1_specific"].weight == 2
    assert model().step(batch((0, 0)), 1)["l_g_l1_specific"].weight == 0


def test_a_set_without_references_trains_as_one_whose_samples_have_none(model, batch):
    with_mask, without = model(), model()
    faces = batch((0, 0))
    with_mask.step(faces, 1)
    without.step(replace(faces, references=None), 1)
    for mine, theirs in zip(with_mask.net_g.parameters(), without.net_g.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_discriminator_waits_for_its_iteration(model, batch):
    trained = model(gan_start=3)
    start = copy.deepcopy(trained.adversary.net.state_dict())
    for iteration in (1, 2):
        assert not [name for name in trained.step(batch(), iteration) if "gan" in name or name.startswith("l_d")]
    assert all(torch.equal(value, start[key]) for key, value in trained.adversary.net.state_dict().items())
    assert {"l_g_gan_generic", "l_d_fake"} <= set(trained.step(batch(), 3))
    assert not torch.equal(
        trained.adversary.net.state_dict()["scales.0.0.weight_orig"], start["scales.0.0.weight_orig"]
    )


def test_the_generator_step_leaves_no_gradient_in_the_discriminator(model, batch, monkeypatch):
    trained = model(gan_start=0)
    seen = []
    terms = trained.adversary.terms

    def watch(*arguments):
        seen.append([item.grad for item in trained.adversary.net.parameters()])
        return terms(*arguments)

    monkeypatch.setattr(trained.adversary, "terms", watch)
    trained.step(batch(), 1)
    assert all(gradient is None for gradient in seen[0])
    assert all(item.grad is not None for item in trained.adversary.net.parameters())


def poison(monkeypatch, loss_type, samples, value=math.nan):
    forward = loss_type.forward

    def poisoned(self, inputs):
        weight = torch.ones(len(inputs.pred_BCHW))
        weight[list(samples)] = value
        return forward(self, inputs) * weight

    monkeypatch.setattr(loss_type, "forward", poisoned)


def test_a_loss_that_is_not_finite_stops_before_any_update(model, batch, monkeypatch):
    trained = model(gan_start=0)
    trained.step(batch(), 1)
    before = snapshot(trained)
    poison(monkeypatch, LOSSES.get("L1Loss"), [2])
    with pytest.raises(NonFiniteLossError, match=r"iteration 7: l_g_l1_generic is nan for face2; l_g_l1_specific"):
        trained.step(batch(), 7)
    assert_unchanged(trained, before)
    monkeypatch.undo()
    trained.step(batch(), 8)  # and training can go on from here
    with pytest.raises(AssertionError):
        assert_unchanged(trained, before)


def test_a_discriminator_loss_that_is_not_finite_stops_both_updates(model, batch, monkeypatch):
    trained = model(gan_start=0)
    trained.step(batch(), 1)
    before = snapshot(trained)
    loss = trained.objective.adversarial(1)[0]
    infinite = lambda self, fake, real: fake[0].float().flatten(1).mean(dim=1) * math.inf  # noqa: E731
    monkeypatch.setattr(type(loss), "fake_loss", infinite)
    with pytest.raises(NonFiniteLossError, match=r"l_d_fake is -?(inf|nan) for face0, face1, face2"):
        trained.step(batch(), 2)
    assert_unchanged(trained, before)


@pytest.mark.parametrize("net", ["net_g", "net_d"])
def test_a_gradient_that_is_not_finite_stops_both_updates(model, batch, net):
    trained = model(gan_start=0)
    trained.step(batch(), 1)
    before = snapshot(trained)
    parameter = next(trained.networks()[net].parameters())
    handle = parameter.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(NonFiniteLossError, match=rf"the norm of the gradient of {net} is (inf|nan) \(batch: face0"):
        trained.step(batch(), 2)
    handle.remove()
    assert_unchanged(trained, before)


def test_bfloat16_gives_nearly_the_same_losses(model, batch):
    exact, rough = model(gan_start=0).step(batch(), 1), model(gan_start=0, amp="bf16").step(batch(), 1)
    for name in ("l_g_l1_generic", "l_g_l1_specific", "l_d_real"):
        assert rough[name].value() == pytest.approx(exact[name].value(), rel=0.03)


def test_a_test_is_float32_whatever_training_was(options, batch):
    settings = options(amp="bf16")
    without = settings.model_copy(update={"train": None})
    restored = [build_model(item, "cpu", train=False).restore(batch(), ("specific",)) for item in (settings, without)]
    assert torch.equal(restored[0]["specific"], restored[1]["specific"])


def test_channels_last_changes_nothing_but_the_memory(options, batch):
    logs = []
    for channels_last in (False, True):
        settings = options(gan_start=0)
        component = type(settings.model)("DMDNetModel", {**settings.model.options, "channels_last": channels_last})
        trained = build_model(settings.model_copy(update={"model": component}), "cpu")
        logs.append([trained.step(batch(), iteration) for iteration in (1, 2, 3)][-1])
    for name in logs[0]:
        assert logs[1][name].value() == pytest.approx(logs[0][name].value(), rel=1e-3)


def test_channels_last_gives_every_kernel_the_strides_of_its_gradient(model, batch):
    trained = model(gan_start=0)  # DDP warns at each backward of a gradient that lies otherwise, as of 1 x 1 kernels
    trained.step(batch(), 1)
    parameters = [item for network in trained.networks().values() for item in network.parameters()]
    kernels = [item for item in parameters if item.dim() == 4 and item.shape[2] <= 3 and item.grad is not None]
    others = [tuple(item.shape) for item in kernels if item.stride() != item.grad.stride()]
    assert kernels
    assert others == []


def test_restore_gives_the_asked_modes_without_gradients(model, batch):
    trained = model()
    trained.step(batch(), 1)
    before = copy.deepcopy(trained.net_g.state_dict())
    faces = batch()
    found = trained.restore(faces, ("wrong_person", "generic", "input", "specific"))
    assert list(found) == ["wrong_person", "generic", "input", "specific"]
    for picture in found.values():
        assert picture.shape == (3, 3, 64, 64)
        assert picture.dtype == torch.float32
        assert not picture.requires_grad
        assert picture.abs().max() <= 1
    torch.testing.assert_close(found["input"], faces.lq_BCHW / 127.5 - 1)
    torch.testing.assert_close(found["specific"][1], found["generic"][1])  # this face has no references
    assert not torch.allclose(found["specific"][0], found["generic"][0])
    torch.testing.assert_close(found["specific"], found["wrong_person"])  # the same references here
    assert all(torch.equal(value, before[key]) for key, value in trained.net_g.state_dict().items())
    assert trained.net_g.training


def test_restore_takes_the_averaged_weights_or_the_last(model, batch):
    trained = model()
    for iteration in (1, 2, 3):
        trained.step(batch(), iteration)
    averaged = trained.restore(batch(), ("generic",))["generic"]
    latest = trained.restore(batch(), ("generic",), use_ema=False)["generic"]
    assert not torch.allclose(averaged, latest)
    trained.ema.reset()
    torch.testing.assert_close(trained.restore(batch(), ("generic",))["generic"], latest)


def test_restore_says_what_is_missing(model, batch):
    trained = model()
    with pytest.raises(DataError, match=r"'specific' needs a person's references, which face0 came without"):
        trained.restore(batch(None), ("specific",))
    with pytest.raises(DataError, match="'wrong_person' needs another person's"):
        trained.restore(batch(None), ("wrong_person",))
    with pytest.raises(ConfigError, match=r"blurry unknown; known are input, generic"):
        trained.restore(batch(), ("blurry",))


def test_training_without_targets_is_refused(model, batch):
    with pytest.raises(DataError, match="no sharp targets"):
        model().step(replace(batch(), gt_BCHW=None), 1)


def test_a_discriminator_for_larger_pictures_is_refused_before_the_first_iteration(options):
    settings = options(gan_start=1000)
    too_deep = ARCHS.component("MultiScaleDiscriminator", base_channels=4, num_scales=7, num_layers=2)
    with pytest.raises(NetworkInputError, match="at least"):
        build_model(settings.model_copy(update={"network_d": too_deep}), "cpu")


def test_weights_for_no_discriminator_are_refused(options):
    settings = options()
    path = settings.path.model_copy(update={"pretrain_network_d": "net_d.pth"})
    with pytest.raises(ConfigError, match=r"path\.pretrain_network_d: net_d\.pth has no network"):
        build_model(settings.model_copy(update={"path": path}), "cpu")


def test_half_an_adversary_is_refused(options):
    complete = options(gan_start=0)
    without_net = complete.model_copy(update={"network_d": None})
    with pytest.raises(ConfigError, match="but not network_d"):
        build_model(without_net, "cpu")
    recipe = complete.train.model_copy(update={"losses": complete.train.losses[:1]})
    with pytest.raises(ConfigError, match="but not an adversarial loss"):
        build_model(complete.model_copy(update={"train": recipe}), "cpu")


def test_state_round_trip_continues_bit_for_bit(model, batch):
    one, two = model(gan_start=2), model(gan_start=2)
    for iteration in (1, 2, 3):
        one.step(batch(seed=iteration), iteration)
    two.load_weights(copy.deepcopy(one.weights()))
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    for trained in (one, two):
        trained.step(batch(seed=4), 4)
    assert_unchanged(two, snapshot(one))
    for mine, theirs in zip(one.net_g.buffers(), two.net_g.buffers(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_changed_network_is_refused_with_its_keys(options, model, batch):
    weights = model().weights()
    settings = options()
    other = settings.model_copy(
        update={"network_g": ARCHS.component("DMDNet", image_size=64, base_channels=4, dictionary_size=5)}
    )
    with pytest.raises(CheckpointError, match=r"net_g: .*of wrong shape: .*generic.*\(4, .*instead of \(5, "):
        build_model(other, "cpu").load_weights(weights)


def test_networks_start_from_the_seed_and_leave_torch_alone(model):
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    one, two = model(), model()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one.net_g.parameters(), two.net_g.parameters(), strict=True))
