"""Weight files: ours and published, averaged and not, and each way in which they can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dmdnet.archs.dmdnet import DMDNet
from dmdnet.archs.loading import load_network, load_network_state, published_component, read_weights
from dmdnet.errors import WeightsError

OPTIONS = {"image_size": 64, "base_channels": 8, "dictionary_size": 3}


def make_net(seed: int = 0) -> DMDNet:
    torch.manual_seed(seed)
    return DMDNet(**OPTIONS)


def write(path: Path, **changes: object) -> Path:
    content = {
        "params": make_net(1).state_dict(),
        "params_ema": make_net(2).state_dict(),
        "network": {"type": "DMDNet", **OPTIONS},
        "iteration": 5,
    }
    content.update(changes)
    torch.save({key: item for key, item in content.items() if item is not None}, path)
    return path


def same(net: torch.nn.Module, other: torch.nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(item, theirs[name]) for name, item in net.state_dict().items())


def test_our_file(tmp_path: Path) -> None:
    path = write(tmp_path / "net_g_5.pth")
    net = load_network(path)
    assert isinstance(net, DMDNet)
    assert not net.training
    assert same(net, make_net(2))
    assert same(load_network(path, prefer_ema=False), make_net(1))


def test_params_serve_where_there_is_no_average(tmp_path: Path) -> None:
    path = write(tmp_path / "net_g_5.pth", params_ema=None)
    assert same(load_network(path), make_net(1))
    net = make_net()
    load_network_state(net, path, key="params_ema")
    assert same(net, make_net(1))


def test_a_published_file_into_a_network(tmp_path: Path) -> None:
    for name, content in (
        ("plain", make_net(3).published_state_dict()),
        ("wrapped", {"params": make_net(3).published_state_dict()}),
    ):
        path = tmp_path / f"{name}.pth"
        torch.save(content, path)
        net = make_net()
        load_network_state(net, path)
        assert same(net, make_net(3))


def test_a_published_file_is_known_by_its_keys(tmp_path: Path) -> None:
    with torch.device("meta"):
        released = DMDNet().published_state_dict()
    component = published_component(released)
    assert component is not None
    assert component.as_dict() == {"type": "DMDNet", "image_size": 512, "base_channels": 64, "dictionary_size": 128}
    assert published_component(make_net().state_dict()) is None
    torch.save(make_net(3).published_state_dict(), tmp_path / "small.pth")
    net = load_network(tmp_path / "small.pth")
    assert net.size.as_dict() == OPTIONS
    assert same(net, make_net(3))


def test_a_published_file_of_another_size_is_named(tmp_path: Path) -> None:
    torch.save(make_net().published_state_dict(), tmp_path / "DMDNet.pth")
    net = DMDNet(image_size=64, base_channels=12, dictionary_size=3)
    with pytest.raises(WeightsError, match=r"DMDNet\.pth: .*of wrong shape: "):
        load_network_state(net, tmp_path / "DMDNet.pth")


def test_not_strict_takes_what_fits(tmp_path: Path) -> None:
    params = make_net(1).state_dict()
    params["decoder.context.join.bias"] = torch.zeros(3)
    params["extra"] = torch.zeros(3)
    del params["decoder.to_rgb.4.bias"]
    path = write(tmp_path / "net.pth", params=params)
    net, start = make_net(), make_net()
    with pytest.raises(WeightsError, match=r"1 missing: .*; 1 unexpected: extra; 1 of wrong shape: "):
        load_network_state(net, path, key="params")
    assert same(net, start)
    load_network_state(net, path, key="params", strict=False)
    assert torch.equal(net.state_dict()["decoder.context.join.bias"], start.state_dict()["decoder.context.join.bias"])
    assert torch.equal(
        net.degraded_encoder.state_dict()["stages.0.0.0.weight_v"], params["degraded_encoder.stages.0.0.0.weight_v"]
    )


def test_unusable_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    with pytest.raises(WeightsError, match="no such weights file"):
        read_weights(path)
    for damaged in (b"", b"not weights", write(tmp_path / "whole.pth").read_bytes()[:5000]):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"net\.pth: is damaged"):
            load_network(path)
    torch.save(make_net(), path)
    with pytest.raises(WeightsError, match="not a file of weights only") as caught:
        load_network(path)
    assert "weights_only" not in str(caught.value)
    with pytest.raises(WeightsError, match="is a folder"):
        load_network(tmp_path)
    torch.save([1], path)
    with pytest.raises(WeightsError, match="holds a list"):
        load_network(path)
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"take a net_g_<iter>\.pth"):
        load_network(path)
    with pytest.raises(WeightsError, match="neither 'params_ema' nor 'params'; it holds a"):
        load_network_state(make_net(), path)
    with pytest.raises(WeightsError, match="unknown network type 'DMDNett'; did you mean"):
        load_network(write(path, network={"type": "DMDNett"}))
    with pytest.raises(WeightsError, match="image_sise"):
        load_network(write(path, network={"type": "DMDNet", "image_sise": 64}))
    with pytest.raises(WeightsError, match="multiple of 8"):
        load_network(write(path, network={"type": "DMDNet", "image_size": 63}))


def test_a_network_that_is_claimed_and_not_there_takes_no_memory(tmp_path: Path) -> None:
    claim = {"type": "DMDNet", "image_size": 1_000_000, "base_channels": 8, "dictionary_size": 3}
    path = write(tmp_path / "net_g_5.pth", network=claim)
    with pytest.raises(WeightsError, match="does not fit the network that it names"):
        load_network(path)
