"""What every registered network must do. A new one is tested by adding small options for it, if it needs any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dmdnet.archs.loading import load_network
from dmdnet.registry import ARCHS

SMALL: dict[str, dict[str, Any]] = {
    "DMDNet": {"image_size": 64, "base_channels": 8, "dictionary_size": 3},
    "ComponentDiscriminator": {"patch_size": 16, "base_channels": 4, "num_layers": 2},
    "JointDiscriminator": {
        "parts": {
            "picture": {"type": "UNetDiscriminator", "base_channels": 4, "num_layers": 2},
            "components": {"type": "ComponentDiscriminator", "patch_size": 16, "base_channels": 4, "num_layers": 2},
        }
    },
    "UNetDiscriminator": {"base_channels": 4, "num_layers": 3, "encoder_logits": True},
    "MultiScaleDiscriminator": {"base_channels": 4, "num_scales": 2, "num_layers": 3},
}


def run(net: nn.Module) -> Iterator[Tensor]:
    """Yield the outputs of a network: of a restorer with boxes and references, or of a picture (and boxes)."""
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    face = [[12, 16, 26, 30], [36, 16, 50, 30], [26, 28, 38, 40], [20, 40, 46, 58]]
    boxes = torch.tensor([face, face], dtype=torch.int32)
    if hasattr(net, "enrol"):
        result = net(images, boxes, net.enrol(images, boxes))
        yield from (result.generic, result.specific)
        return
    result = net(images, boxes) if getattr(net, "takes_boxes", False) else net(images)
    parts = result.values() if isinstance(result, dict) else [result]
    for part in parts:
        yield from [part] if isinstance(part, Tensor) else part


@pytest.fixture(params=ARCHS.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def net(name: str) -> nn.Module:
    torch.manual_seed(0)
    return ARCHS.build(ARCHS.component(name, **SMALL.get(name, {})))


def test_defaults_build_without_memory(name: str) -> None:
    with torch.device("meta"):
        assert sum(item.numel() for item in ARCHS.build(ARCHS.component(name)).parameters()) > 0


def test_outputs_are_finite_and_float32(net: nn.Module) -> None:
    outputs = list(run(net.eval()))
    assert outputs
    assert all(output.isfinite().all() and output.dtype == torch.float32 for output in outputs)


def test_gradients_reach_every_parameter(net: nn.Module) -> None:
    sum(output.square().mean() for output in run(net.train())).backward()
    silent = [key for key, item in net.named_parameters() if item.grad is None or not item.grad.abs().max() > 0]
    assert silent == []


def test_evaluation_is_repeatable_and_leaves_the_state(net: nn.Module) -> None:
    net.eval()
    before = {key: item.clone() for key, item in net.state_dict().items()}
    first, second = list(run(net)), list(run(net))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    after = net.state_dict()
    assert all(torch.equal(item, after[key]) for key, item in before.items())


def test_bfloat16_autocast_runs_both_ways(net: nn.Module) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = list(run(net.train()))
    sum(output.square().mean() for output in outputs).backward()
    assert all(item.grad.isfinite().all() for item in net.parameters())


def test_weights_go_through_a_file(name: str, net: nn.Module, tmp_path: Path) -> None:
    component = ARCHS.component(name, **SMALL.get(name, {}))
    torch.save({"params": net.state_dict(), "network": component.as_dict()}, tmp_path / "net.pth")
    loaded = load_network(tmp_path / "net.pth")
    assert type(loaded) is type(net)
    expected = list(run(net.eval()))
    assert all(torch.equal(one, other) for one, other in zip(run(loaded), expected, strict=True))
