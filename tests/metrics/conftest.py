"""Weights files with drawn numbers in place of those that tests do not have."""

import importlib.util
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_onnx import small_recogniser
from torch import nn
from torchvision.models import alexnet, inception_v3, vgg16

from dmdnet.faces.backend import Face
from dmdnet.faces.dlib_backend import DlibBackend
from dmdnet.faces.template import template_face_box
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


def seeded(build, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def small_embedding(channels, stride):
    """Return a network that gives eight numbers for a picture, by its parts of `stride` pixels."""
    first = nn.Conv2d(channels, 8, stride, stride=stride)
    return nn.Sequential(first, nn.Tanh(), nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(512, 8))


# Networks that take seconds a picture have a small one in their place: where they are loaded, and what then is
SMALLER = {
    "arcface_ir_se50": ("dmdnet.features.recognisers.load_arcface", lambda: small_embedding(3, 8)),
    "arcface_resnet18": ("dmdnet.features.gray_arcface._load", lambda: small_embedding(1, 4)),
    "parsenet": ("dmdnet.features.parsing._load", lambda: nn.Conv2d(3, 19, 1)),
}


@pytest.fixture(scope="session")
def drawn_weights_folder(tmp_path_factory):
    """All weights files that metrics read and that can be drawn."""
    folder = tmp_path_factory.mktemp("drawn_weights")
    for name, draw in DRAWN.items():
        torch.save(draw(), folder / WEIGHTS[name].file)
    np.savez(folder / WEIGHTS["niqe_pristine"].file, mu_pris_param=np.zeros((1, 36)), cov_pris_param=np.eye(36))
    (folder / WEIGHTS["arcface_w600k_r50"].file).write_bytes(small_recogniser()[0])
    for name in SMALLER:
        (folder / WEIGHTS[name].file).touch()
    return folder


@pytest.fixture
def weights_folder(drawn_weights_folder, monkeypatch):
    """The folder with the drawn weights; digests of the published files are not asked for."""
    for name in (*DRAWN, *SMALLER, "arcface_w600k_r50", "niqe_pristine"):
        monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], sha256=None))
    for name, (loader, build) in SMALLER.items():
        monkeypatch.setattr(loader, lambda path, name=name, build=build: seeded(build, len(name)))
    monkeypatch.setattr("dmdnet.features.parsing.SIDE", 64)
    if importlib.util.find_spec("pyiqa") is None:
        monkeypatch.setitem(sys.modules, "pyiqa", SimpleNamespace(create_metric=lambda name, device: MeanOfPicture()))
    for name in ("detect", "embed"):
        monkeypatch.setattr(DlibBackend, name, globals()[f"quick_{name}"])
    return drawn_weights_folder


class MeanOfPicture(nn.Module):
    """In place of pyiqa's models, which are not installed everywhere."""

    def forward(self, picture_BCHW):
        return picture_BCHW.mean(dim=(1, 2, 3))[:, None]


def quick_detect(backend, rgb):
    """Return the face where an aligned picture has it; dlib would look for a noisy one for seconds."""
    box = template_face_box(len(rgb))
    return [Face(box, backend.landmarks_in(rgb, box), 1.0)]


def quick_embed(backend, rgb, landmarks):
    """Return some numbers that depend on the picture inside the landmarks."""
    (x0, y0), (x1, y1) = landmarks.min(axis=0).astype(int), landmarks.max(axis=0).astype(int)
    return rgb[max(y0, 0) : y1, max(x0, 0) : x1].astype(float).std(axis=(0, 1)).repeat(43)[:128] / 100


@pytest.fixture(scope="session")
def ready_metrics():
    """Prepared metrics by their component: each network is read once for all tests of this process."""
    return {}
