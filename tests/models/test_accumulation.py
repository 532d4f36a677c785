"""Parts of a batch that are added up, and float16's loss scale."""

import copy
import math

import pytest
import torch

from dmdnet.errors import NonFiniteLossError


def gradients(model):
    return {
        f"{name}.{key}": item.grad.clone()
        for name, network in model.networks().items()
        for key, item in network.named_parameters()
        if item.grad is not None
    }


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_give_the_gradients_of_the_whole_batch(model, batch, parts):
    """With one and three references, none, and padding, which differs between the parts."""
    faces = batch((1, 0, 3, 2))
    whole, split = model(gan_start=0), model(gan_start=0, accumulate=parts)
    for iteration in (1, 2):
        logs = [each.step(faces, iteration) for each in (whole, split)]
        expected = gradients(whole)
        found = gradients(split)
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            scale = value.abs().max().clamp(min=1e-3)
            assert (found[key] - value).abs().max() <= 1e-3 * scale, (
                key
            )  # a rounding decides on which side of a kink a value is
        assert logs[0].keys() == logs[1].keys()
        for name, mean in logs[0].items():
            assert logs[1][name].weight == mean.weight
            assert logs[1][name].value() == pytest.approx(mean.value(), rel=1e-4), name
        split.load_weights(copy.deepcopy(whole.weights()))  # Adam makes much of the rounding of next to nothing
        split.load_state_dict(copy.deepcopy(whole.state_dict()))


def test_parts_leave_the_singular_vectors_of_one_forward(model, batch):
    whole, split = model(gan_start=0), model(gan_start=0, accumulate=2)
    for each in (whole, split):
        each.step(batch((1, 2)), 1)
    for name, network in whole.networks().items():
        buffers = dict(split.networks()[name].named_buffers())
        assert all(torch.equal(value, buffers[key]) for key, value in network.named_buffers())


def test_a_batch_that_does_not_divide_counts_by_samples(model, batch):
    whole, split = model(), model(accumulate=2)
    for each in (whole, split):
        each.step(batch((1, 2, 0)), 1)
    expected, found = gradients(whole), gradients(split)
    for key, value in expected.items():
        assert (found[key] - value).abs().max() <= 1e-4 * value.abs().max().clamp(min=1e-3), key


def test_a_bad_sample_in_the_last_part_is_named(model, batch):
    trained = model(accumulate=3)
    loss = trained.objective.losses[0]
    forward = loss.forward
    calls = []

    def third(inputs):
        calls.append(None)
        return forward(inputs) * (math.nan if len(calls) > 4 else 1)

    loss.forward = third
    with pytest.raises(NonFiniteLossError, match=r"iteration 1: l_g_l1_generic is nan for face2; l_g_l1_specific"):
        trained.step(batch((1, 2, 1)), 1)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_lower_precision_gives_nearly_the_same_losses_and_gradients(model, batch, amp):
    exact, rough = model(gan_start=0), model(gan_start=0, amp=amp)
    logs = [each.step(batch(), 1) for each in (exact, rough)]
    rel = {"bf16": 0.03, "fp16": 0.005}[amp]
    for name in ("l_g_l1_generic", "l_g_l1_specific", "l_d_real", "grad_norm_net_g"):
        assert logs[1][name].value() == pytest.approx(logs[0][name].value(), rel=2 * rel)
    expected, found = gradients(exact), gradients(rough)
    one, two = (torch.cat([part[key].flatten() for key in expected]) for part in (expected, found))
    assert torch.nn.functional.cosine_similarity(one, two, dim=0) > {"bf16": 0.98, "fp16": 0.999}[amp]


def test_float16s_scale_falls_when_a_gradient_overflows_and_is_in_the_checkpoint(model, batch):
    trained = model(gan_start=0, amp="fp16")
    trained.step(batch(), 1)
    before = copy.deepcopy(trained.weights())
    parameter = next(trained.net_g.parameters())
    handle = parameter.register_hook(lambda gradient: gradient * math.inf)
    logs = trained.step(batch(), 2)  # no error: the scale was too large
    handle.remove()
    assert logs["l_g_l1_generic"].weight == 0
    after = trained.weights()
    for name, part in before.items():
        assert all(torch.equal(value, after[name]["params"][key]) for key, value in part["params"].items())
    assert trained.state_dict()["loss_scale"]["scale"] == 2.0**15
    resumed = model(gan_start=0, amp="fp16")
    resumed.load_weights(copy.deepcopy(after))
    resumed.load_state_dict(copy.deepcopy(trained.state_dict()))
    for each in (trained, resumed):
        each.step(batch(seed=3), 3)
    for mine, theirs in zip(trained.net_g.parameters(), resumed.net_g.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert resumed.state_dict()["loss_scale"] == trained.state_dict()["loss_scale"]


def test_a_run_may_change_to_float16_and_back(model, batch):
    plain = model()
    plain.step(batch(), 1)
    half = model(amp="fp16")
    half.load_state_dict(copy.deepcopy(plain.state_dict()))
    half.step(batch(), 2)
    plain.load_state_dict(copy.deepcopy(half.state_dict()))
