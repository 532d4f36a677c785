"""Weights files with drawn numbers in place of those that tests do not have."""

from dataclasses import replace

import pytest
import torch
from torchvision.models import alexnet, inception_v3, vgg16

from dmdnet.weights import WEIGHTS


def drawn(build, seed, *, keep=""):
    """Return a state dict whose layers keep the size of the signal."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in build().state_dict().items() if keep in key}
    generator = torch.Generator().manual_seed(seed)
    return {key: _drawn_tensor(key, shape, generator) for key, shape in shapes.items()}


def _drawn_tensor(key, shape, generator):
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if len(shape) > 1:
        return torch.randn(shape, generator=generator) * (2 / shape[1:].numel()) ** 0.5
    middle = 1.0 if key.endswith(("bn.weight", "running_var")) else 0.0
    return middle + 0.1 * torch.rand(shape, generator=generator)


def fid_inception():
    return inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)


DRAWN = {
    "alexnet": lambda: drawn(lambda: alexnet(weights=None), 1, keep="features"),
    "vgg16": lambda: drawn(lambda: vgg16(weights=None), 2, keep="features"),
    "inception_fid": lambda: drawn(fid_inception, 3),
}


@pytest.fixture(scope="session")
def drawn_weights_folder(tmp_path_factory):
    """All weights files that metrics read and that can be drawn."""
    folder = tmp_path_factory.mktemp("drawn_weights")
    for name, draw in DRAWN.items():
        torch.save(draw(), folder / WEIGHTS[name].file)
    return folder


@pytest.fixture
def weights_folder(drawn_weights_folder, monkeypatch):
    """The folder with the drawn weights; digests of the published files are not asked for."""
    for name in DRAWN:
        monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], sha256=None))
    return drawn_weights_folder


@pytest.fixture(scope="session")
def ready_metrics():
    """Prepared metrics by their component: each network is read once for all tests of this process."""
    return {}


