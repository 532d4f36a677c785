"""The grey ResNet-18: the names of its weights, its blocks, and which files it takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dmdnet.errors import WeightsError
from dmdnet.features.gray_arcface import GrayArcFace, load_gray_arcface
from dmdnet.weights import WEIGHTS


@pytest.fixture(scope="module")
def network() -> GrayArcFace:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = GrayArcFace().eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network.requires_grad_(False)


def test_eighteen_layers_with_the_names_of_the_published_weights(network: GrayArcFace) -> None:
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes["conv1.weight"] == (64, 1, 3, 3)
    assert shapes["layer1.0.bn0.running_mean"] == (64,)
    assert shapes["layer2.0.conv1.weight"] == (64, 64, 3, 3)
    assert shapes["layer2.0.conv2.weight"] == (128, 64, 3, 3)
    assert shapes["layer4.0.downsample.0.weight"] == (512, 256, 1, 1)
    assert shapes["layer4.1.prelu.weight"] == (1,)
    assert shapes["fc5.weight"] == (512, 512 * 8 * 8)
    assert shapes["bn5.running_var"] == (512,)
    assert not any(key.startswith("layer1.0.downsample") for key in shapes)
    layers = [key for key, shape in shapes.items() if len(shape) == 4 and "downsample" not in key]
    assert len(layers) + 1 == 18


def test_a_block_by_hand(network: GrayArcFace) -> None:
    def norm(x: torch.Tensor, module: nn.Module) -> torch.Tensor:
        mean, var = module.running_mean[:, None, None], module.running_var[:, None, None]
        return (x - mean) / (var + 1e-5).sqrt() * module.weight[:, None, None] + module.bias[:, None, None]

    block = network.layer2[0]
    x = torch.randn(2, 64, 8, 8, generator=torch.Generator().manual_seed(1))
    y = F.conv2d(norm(x, block.bn0), block.conv1.weight, padding=1)
    y = F.prelu(norm(y, block.bn1), block.prelu.weight)
    y = norm(F.conv2d(y, block.conv2.weight, stride=2, padding=1), block.bn2)
    shortcut = norm(F.conv2d(x, block.downsample[0].weight, stride=2), block.downsample[1])
    torch.testing.assert_close(block(x), F.prelu(y + shortcut, block.prelu.weight), rtol=1e-4, atol=1e-5)
    assert network(torch.zeros(2, 1, 128, 128)).shape == (2, 512)


def test_the_file_of_several_devices_is_taken_and_another_refused(
    network: GrayArcFace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WEIGHTS, "arcface_resnet18", replace(WEIGHTS["arcface_resnet18"], sha256=None))
    path = tmp_path / "arcface_resnet18.pth"
    torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, path)
    loaded = load_gray_arcface(str(tmp_path))
    assert load_gray_arcface(str(tmp_path)) is loaded
    picture = torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(loaded(picture), network(picture))
    del loaded
    torch.save({"conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="not weights of arcface_resnet18"):
        load_gray_arcface(str(tmp_path))
