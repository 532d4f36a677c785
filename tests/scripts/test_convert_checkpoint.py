"""Published weights to ours and back, by the command."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch

from dmdnet.archs.dmdnet import DMDNet
from dmdnet.archs.loading import load_network
from dmdnet.archs.multi_scale_discriminator import MultiScaleDiscriminator


def test_there_and_back(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    published = DMDNet(image_size=64, base_channels=8, dictionary_size=3).published_state_dict()
    source, ours, back = (tmp_path / name for name in ("DMDNet.pth", "net_g.pth", "back.pth"))
    torch.save(published, source)
    assert script.main([str(source), str(ours)]) == 0
    assert "published -> ours (DMDNet)" in capsys.readouterr().out
    net = load_network(ours)
    assert isinstance(net, DMDNet)
    assert script.main([str(ours), str(back)]) == 0
    assert "ours -> published (DMDNet)" in capsys.readouterr().out
    returned = torch.load(back, weights_only=True)
    assert list(returned) == list(published)
    assert all(torch.equal(item, returned[name]) for name, item in published.items())


def test_errors_are_one_line(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, target = tmp_path / "missing.pth", tmp_path / "target.pth"
    assert script.main([str(missing), str(target)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {missing}: there is no such weights file")
    assert error.count("\n") == 1
    target.touch()
    assert script.main([str(missing), str(target)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    other = tmp_path / "discriminator.pth"
    net = {"type": "MultiScaleDiscriminator", "base_channels": 4, "num_scales": 1, "num_layers": 1}
    discriminator = MultiScaleDiscriminator(base_channels=4, num_scales=1, num_layers=1)
    torch.save({"params": discriminator.state_dict(), "network": net}, other)
    assert script.main([str(other), str(tmp_path / "published.pth")]) == 2
    assert "MultiScaleDiscriminator has no published form" in capsys.readouterr().err


def test_the_source_is_never_overwritten(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "net_g.pth"
    net = DMDNet(image_size=64, base_channels=8, dictionary_size=3)
    torch.save(net.published_state_dict(), source)
    before = source.read_bytes()
    assert script.main([str(source), str(source), "--overwrite"]) == 2
    assert "is the source itself" in capsys.readouterr().err
    assert source.read_bytes() == before
