"""Activation checkpointing, torch.compile, and what is said when memory runs out."""

import copy
import logging

import pytest
import torch
from torch import nn

from dmdnet.errors import ConfigError, DeviceMemoryError
from dmdnet.models import compiling
from dmdnet.models.compiling import compile_networks
from dmdnet.models.recomputing import blocks_to_recompute, recompute
from dmdnet.ops.spectral_norm import SpectralConv2d

CPU = torch.device("cpu")


def test_recomputing_changes_no_bit(model, batch):
    """Weights, averages and singular vectors: a power iteration must not be made twice."""
    plain, thrifty = model(gan_start=0), model(gan_start=0, activation_checkpointing=True, accumulate=1)
    for iteration in (1, 2):
        for each in (plain, thrifty):
            each.step(batch(seed=iteration), iteration)
    for name, part in plain.weights().items():
        other = thrifty.weights()[name]
        for kind in {"params", "params_ema"} & part.keys():
            assert part[kind].keys() == other[kind].keys()
            assert [key for key, value in part[kind].items() if not torch.equal(value, other[kind][key])] == []


def test_recomputing_keeps_less_for_the_backward_pass(model, batch):
    kept = []
    for checkpointing in (False, True):
        trained = model(activation_checkpointing=checkpointing)
        faces = batch()
        count = 0

        def pack(tensor):
            nonlocal count
            count += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            trained._forward(_tensors(faces))
        kept.append(count)
    assert kept[1] < 0.5 * kept[0]


def _tensors(faces):
    from dmdnet.models.face_tensors import face_tensors

    return face_tensors(faces, CPU, channels_last=True)


def test_a_network_without_blocks_is_refused():
    with pytest.raises(ConfigError, match=r"train\.activation_checkpointing: Linear does not say"):
        blocks_to_recompute(nn.Linear(2, 2))


def test_buffers_are_changed_once_however_often_a_block_is_used():
    """Batch norm's statistics as well as singular vectors; the block is used twice before the backward pass."""
    plain = nn.Sequential(SpectralConv2d(3, 3), nn.BatchNorm2d(3), nn.Tanh()).train()
    thrifty = copy.deepcopy(plain)
    recompute([thrifty])
    x = torch.randn(2, 3, 8, 8)
    for net in (plain, thrifty):
        net(net(x)).square().sum().backward()
    other = thrifty.state_dict()
    assert [key for key, value in plain.state_dict().items() if not torch.equal(value, other[key])] == []
    pairs = zip(plain.parameters(), thrifty.parameters(), strict=True)
    assert all(torch.equal(one.grad, two.grad) for one, two in pairs)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 3)

    def forward(self, x):
        return self.inner(x).tanh()

    def compile_regions(self):
        return [self.inner]


def test_compiling_in_place_keeps_names_copies_and_numbers(monkeypatch):
    monkeypatch.setattr(compiling, "_BACKEND", "eager")  # traces as the real one does, needs no compiler
    net, whole = Pair(), nn.Conv2d(3, 2, 1)
    before, x = copy.deepcopy(net), torch.randn(1, 3, 8, 8)
    assert compile_networks([net, whole], "default", CPU)
    assert net.inner._compiled_call_impl is not None
    assert whole._compiled_call_impl is not None
    assert net._compiled_call_impl is None
    assert net.state_dict().keys() == before.state_dict().keys()
    assert torch.equal(net(x), before(x))
    assert copy.deepcopy(net).inner._compiled_call_impl is None
    assert not compile_networks([Pair()], False, CPU)


def test_without_a_compiler_one_message_says_so(monkeypatch, caplog):
    monkeypatch.setattr(compiling, "_BACKEND", _no_compiler)
    net = Pair()
    with caplog.at_level(logging.WARNING, "dmdnet"):
        assert not compile_networks([net], True, CPU)
    (line,) = caplog.messages
    assert line.startswith("train.compile: no compiler works here (")
    assert "the networks run as they are" in line
    assert net.inner._compiled_call_impl is None


def _no_compiler(graph, inputs):
    raise RuntimeError("No working C++ compiler found")


@pytest.mark.slow
@pytest.mark.parametrize("recomputing", [False, True])
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_training_gives_the_same_numbers(model, batch, monkeypatch, backend, recomputing):
    monkeypatch.setattr(compiling, "_BACKEND", backend)
    plain = model(gan_start=0)
    compiled = model(gan_start=0, compile=True, activation_checkpointing=recomputing)
    logs = [each.step(batch((2, 1), seed=1), 1) for each in (plain, compiled)]
    for name, mean in logs[0].items():
        assert logs[1][name].value() == pytest.approx(mean.value(), rel=1e-4), name
    for name, network in plain.networks().items():
        found = dict(compiled.networks()[name].named_parameters())
        for key, item in network.named_parameters():  # a gradient that is lost hardly shows in a norm
            assert (found[key].grad - item.grad).norm() <= 1e-3 * item.grad.norm() + 1e-9, key
    for iteration, counts in ((2, (1, 1)), (3, (2, 2))):
        logs = [each.step(batch(counts, seed=iteration), iteration) for each in (plain, compiled)]
        assert logs[1]["l_g_l1_generic"].value() == pytest.approx(logs[0]["l_g_l1_generic"].value(), rel=1e-3)
    assert not [name for name in compiled.weights()["net_g"]["params"] if "_orig_mod" in name]


@pytest.mark.parametrize("where", ["forward", "update"])
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: no"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_lack_of_memory_says_what_to_lower(model, batch, error, where):
    trained = model(accumulate=2)

    def fail(*inputs):
        raise error

    if where == "forward":
        trained.objective.losses[0].forward = fail
    else:
        trained.optim_g.optimizer.step = fail
    said = (
        r"iteration 5: cpu has no memory left for 2 faces of 64 x 64 pixels with 2 references each; lower "
        r"datasets\.train\.batch_size_per_gpu and raise train\.accumulate \(now 2\), or lower num_references, or set "
        r"train\.amp: bf16, or set train\.activation_checkpointing: true\. The last checkpoint is intact"
    )
    with pytest.raises(DeviceMemoryError, match=said):
        trained.step(batch((2, 1, 1)), 5)


def test_another_error_stays_itself(model, batch):
    trained = model()

    def fail(inputs):
        raise RuntimeError("something else")

    trained.objective.losses[0].forward = fail
    with pytest.raises(RuntimeError, match="something else"):
        trained.step(batch(), 1)
