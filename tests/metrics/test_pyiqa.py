"""The adaptor for pyiqa, with a stand-in for the package."""

import socket
import sys
import urllib.request
from types import SimpleNamespace
from typing import get_args

import pytest
import torch

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.metrics import MetricInput, build_metrics
from dmdnet.metrics.pyiqa import Model, PyIQA
from dmdnet.registry import METRICS


class Mean(torch.nn.Module):
    """Scores a picture by its mean and a drawn number; wants one picture in [0, 1]."""

    def forward(self, picture):
        assert picture.shape[0] == 1
        assert 0 <= picture.min() <= picture.max() <= 1
        return picture.mean().reshape(1, 1) + torch.rand(1, 1)


@pytest.fixture
def asked(monkeypatch):
    """Install the stand-in; return the names that it was asked for."""
    names = []
    package = SimpleNamespace(create_metric=lambda name, device: names.append(name) or Mean())
    monkeypatch.setitem(sys.modules, "pyiqa", package)
    return names


def pictures():
    return torch.randint(0, 256, (3, 3, 224, 230), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_every_model_is_asked_for_by_its_name(asked):
    for name in get_args(Model):
        metric = PyIQA(model=name)
        metric.prepare(None)
        assert metric.recipe.startswith(name.split("-")[0].strip("+") + "@pyiqa/")
    assert asked == list(get_args(Model))


def test_each_picture_has_the_same_draws_and_torchs_generator_is_left_alone(asked):
    metric = PyIQA(model="maniqa")
    metric.prepare(None)
    state = torch.random.get_rng_state()
    found = metric(MetricInput(pictures()))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(0)
    expected = (pictures() / 255).mean(dim=(1, 2, 3)) + torch.rand(1)
    torch.testing.assert_close(found.float(), expected)
    assert found.dtype == torch.float64


def test_without_the_package_the_metric_is_unavailable_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(ConfigError, match="pip install pyiqa"):
        PyIQA().prepare(None)
    ready, unavailable = build_metrics({"musiq": METRICS.component("PyIQA"), "psnr": METRICS.component("PSNR")})
    assert list(ready) == ["psnr"]
    assert "pip install pyiqa" in unavailable["musiq"].reason


def test_nothing_is_fetched(monkeypatch):
    def fetch(name, device):
        urllib.request.urlopen("https://example.org/weights.pth")

    usual = socket.getaddrinfo
    monkeypatch.setitem(sys.modules, "pyiqa", SimpleNamespace(create_metric=fetch))
    with pytest.raises(WeightsError, match=r"no weights of musiq in its cache.*create_metric\('musiq'\)"):
        PyIQA().prepare(None)
    assert socket.getaddrinfo is usual


def test_other_errors_of_the_package_are_its_own(monkeypatch):
    def break_down(name, device):
        raise RuntimeError("of its own")

    monkeypatch.setitem(sys.modules, "pyiqa", SimpleNamespace(create_metric=break_down))
    with pytest.raises(RuntimeError, match="of its own"):
        PyIQA().prepare(None)
