"""Numbers that are not finite: what a step must not change, who is told of it and when."""

import copy
import logging
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dmdnet.errors import NonFiniteLossError
from dmdnet.models import finite
from dmdnet.models.buffers import Buffers
from dmdnet.models.finite import StepNumbers, Watch

CPU = torch.device("cpu")


def numbers(value=1.0, iteration=1, norm=1.0, scale=None, names=("a.png", "b.png", "c.png")):
    values = torch.tensor([1.0, value, 1.0])
    scale = None if scale is None else torch.tensor(scale)
    return StepNumbers(
        {"l_one": values, "l_two": torch.zeros(3)},
        values.mean(),
        {"net_g": torch.tensor(norm)},
        names,
        iteration,
        scale,
    )


def watch(policy="skip", limit=3, spike=None):
    return Watch(policy, limit, spike, CPU)


def test_finite_numbers_pass():
    guard = watch("stop")
    assert guard.judge(numbers()) == 0
    guard.settle()


def test_bad_numbers_are_named():
    guard = watch("stop")
    assert guard.judge(numbers(math.inf, 12, math.nan)) == 1
    with pytest.raises(NonFiniteLossError, match=r"iteration 12: l_one is inf for b\.png\. No weights were"):
        guard.settle()
    guard = watch("stop")
    guard.judge(numbers(norm=math.nan))
    with pytest.raises(NonFiniteLossError, match=r"gradient of net_g is nan \(batch: a\.png, b\.png, c\.png\)"):
        guard.settle()


def test_after_a_bad_step_nothing_is_updated_until_the_host_has_seen_it():
    guard = watch("stop")
    verdicts = [float(guard.judge(numbers(value, n))) for n, value in enumerate([1.0, math.nan, 1.0, 1.0], 1)]
    assert verdicts == [0, 1, 1, 1]
    with pytest.raises(NonFiniteLossError, match="iteration 2: "):
        guard.settle()


def test_some_bad_steps_are_skipped_and_named(caplog):
    guard = watch(limit=2)
    values = [math.nan, math.nan, 1.0, math.inf, 1.0]
    with caplog.at_level(logging.WARNING, "dmdnet"):
        assert [float(guard.judge(numbers(value, n))) for n, value in enumerate(values, 1)] == [1, 1, 0, 1, 0]
        guard.settle()
    assert [line.split(":")[0] for line in caplog.messages] == ["iteration 1", "iteration 2", "iteration 4"]
    assert "l_one is inf for b.png; this step is left out" in caplog.text


def test_too_many_in_a_row_end_the_run_and_a_restart_goes_on_counting():
    guard = watch(limit=2)
    guard.judge(numbers(math.nan, 1))
    guard.settle()
    resumed = watch(limit=2)
    resumed.load_state_dict(copy.deepcopy(guard.state_dict()))
    for iteration in (2, 3):
        resumed.judge(numbers(math.nan, iteration))
    with pytest.raises(NonFiniteLossError, match=r"iteration 3: .*number 3 in a row \(train\.max_non_finite: 2\)"):
        resumed.settle()


def test_a_gradient_too_large_for_float16_is_no_fault_while_the_scale_can_fall(caplog):
    guard = watch("stop")
    with caplog.at_level(logging.INFO, "dmdnet"):
        assert guard.judge(numbers(norm=math.inf, scale=1024.0)) == 1
        assert guard.judge(numbers(scale=512.0)) == 0
        guard.settle()
    assert "float16 overflowed" in caplog.text
    guard.judge(numbers(norm=math.inf, scale=1.0))
    with pytest.raises(NonFiniteLossError, match="gradient of net_g is inf"):
        guard.settle()
    guard = watch("stop")
    guard.judge(numbers(math.nan, scale=1024.0))  # a loss does not depend on the scale
    with pytest.raises(NonFiniteLossError, match="l_one is nan"):
        guard.settle()


def test_a_spike_is_logged_with_its_samples(caplog):
    guard = watch(spike=5.0)
    with caplog.at_level(logging.WARNING, "dmdnet"):
        for iteration in range(60):
            guard.judge(numbers(1.0, iteration))
        guard.judge(numbers(40.0, 60))
        guard.settle()
    (line,) = caplog.messages
    assert line.startswith(
        "iteration 60: the loss 14 is 14.0 times the median of the 60 before; l_one is largest for b"
    )


class HostReads(TorchDispatchMode):
    """Counts what waits for the device: values and shapes that go to the host."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        waits = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        self.count += function in waits
        return function(*arguments, **(keywords or {}))


def everything(model):
    """Return a copy of all tensors that a checkpoint would hold."""

    def tensors(value, prefix=""):
        if isinstance(value, torch.Tensor):
            yield prefix, value.clone()
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from tensors(item, f"{prefix}/{key}")

    return dict(tensors({"weights": model.weights(), "state": model.state_dict()}))


def assert_same(one, two):
    assert one.keys() == two.keys()
    assert [key for key in one if not torch.equal(one[key], two[key])] == []


@pytest.fixture
def later(model, monkeypatch):
    """Build a model that looks at its steps only when told to, as on a GPU."""
    monkeypatch.setattr(finite, "free_to_read", lambda verdict: False)
    return lambda **recipe: model(gan_start=0, **recipe)


def test_a_healthy_step_reads_nothing_of_the_device(later, batch):
    trained = later()
    trained.step(batch((2, 2)), 1)
    with HostReads() as reads:
        trained.step(batch((2, 2)), 2)
    assert reads.count == 1  # whether all references are there, of a mask that is on the host anyway
    with HostReads() as reads:
        bool(torch.ones(1))
    assert reads.count == 1  # so would be any other


def poison_loss(model):
    loss = model.objective.losses[0]
    forward = loss.forward
    loss.forward = lambda inputs: forward(inputs) * torch.nan
    return lambda: delattr(loss, "forward")


def poison_fake_loss(model):
    loss = model.objective.adversarial(1)[0]
    loss.fake_loss = lambda fake, real: fake[0].float().flatten(1).mean(dim=1) * torch.inf
    return lambda: delattr(loss, "fake_loss")


def poison_gradient(name):
    def poison(model):
        parameter = next(model.networks()[name].parameters())
        return parameter.register_hook(lambda gradient: gradient * torch.nan).remove

    return poison


@pytest.mark.parametrize("implementation", ["fused", "foreach"])
@pytest.mark.parametrize(
    "poison",
    [poison_loss, poison_fake_loss, poison_gradient("net_g"), poison_gradient("net_d")],
    ids=["loss", "loss of D only", "gradient of G only", "gradient of D only"],
)
def test_a_skipped_step_leaves_no_trace(later, batch, poison, implementation, optimizer):
    """Weights, averages, moments, step counts and singular vectors after 1, bad, 2 are those after 1, 2."""
    healthy, trained = (later(non_finite="skip", **optimizer(implementation)) for _ in range(2))
    for model in (healthy, trained):
        model.step(batch(seed=1), 1)
    heal = poison(trained)
    logs = trained.step(batch(seed=9), 2)
    heal()
    for model in (healthy, trained):
        model.step(batch(seed=2), 2)
        model.settle()
    assert all(torch.isfinite(mean.total) and mean.weight == 0 for mean in logs.values())
    assert_same(everything(trained), everything(healthy))


def test_a_first_step_may_be_bad(later, batch):
    healthy, trained = (later(non_finite="skip") for _ in range(2))
    heal = poison_loss(trained)
    trained.step(batch(seed=9), 1)
    heal()
    for model in (healthy, trained):
        model.step(batch(seed=1), 1)
        model.settle()
    assert_same(everything(trained), everything(healthy))


def test_stopping_late_leaves_the_weights_of_the_step_before(later, batch):
    healthy, trained = later(), later()
    for model in (healthy, trained):
        model.step(batch(seed=1), 1)
    heal = poison_loss(trained)
    trained.step(batch(seed=2), 2)
    heal()
    trained.step(batch(seed=3), 3)
    with pytest.raises(NonFiniteLossError, match="iteration 2: l_g_l1_generic is nan for face0"):
        trained.settle()
    assert_same(trained.weights()["net_g"]["params"], healthy.weights()["net_g"]["params"])


def test_looking_later_gives_the_same_bits(model, batch, monkeypatch):
    at_once, trained = model(gan_start=0), model(gan_start=0)
    for iteration in (1, 2, 3):
        at_once.step(batch(seed=iteration), iteration)
    monkeypatch.setattr(finite, "free_to_read", lambda verdict: False)
    for iteration in (1, 2, 3):
        trained.step(batch(seed=iteration), iteration)
    trained.settle()
    assert_same(everything(trained), everything(at_once))


def test_batch_norms_statistics_do_not_keep_a_bad_batch():
    net = torch.nn.BatchNorm1d(2)
    buffers = Buffers([net])
    buffers.remember()
    net(torch.full((4, 2), math.nan))
    assert net.running_mean.isnan().all()
    buffers.undo(torch.tensor(1.0))
    assert torch.equal(net.running_mean, torch.zeros(2))
    net(torch.randn(4, 2))
    buffers.undo(torch.tensor(0.0))
    assert not torch.equal(net.running_mean, torch.zeros(2))
