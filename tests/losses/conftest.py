"""Small pictures, and networks with drawn weights in place of the files that tests do not have."""

from dataclasses import replace

import pytest
import torch
from torchvision.models import alexnet, vgg16

from dmdnet.features import lpips, vgg
from dmdnet.losses import identity
from dmdnet.losses.base import LossInput
from dmdnet.losses.judgement import Judge
from dmdnet.weights import WEIGHTS


@pytest.fixture
def vgg19_folder(tmp_path, monkeypatch):
    """A weights folder with a VGG19 of drawn weights, as deep as the default layers; its digest is not asked for."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, (index, channels_in, channels_out, _) in vgg.LAYERS.items():
        if name <= "conv4_1":
            scale = (2 / (9 * channels_in)) ** 0.5
            shape = (channels_out, channels_in, 3, 3)
            state[f"features.{index}.weight"] = torch.randn(shape, generator=generator) * scale
            state[f"features.{index}.bias"] = torch.zeros(channels_out)
    path = tmp_path / "vgg19-dcbb9e9d.pth"
    torch.save(state, path)
    monkeypatch.setattr("dmdnet.losses.perceptual.find_weights", lambda name, folder: path)
    return tmp_path


def drawn_convolutions(build, seed):
    """Return a state dict of `features` with drawn weights that keep the size of the signal."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in build(weights=None).state_dict().items() if "features" in key}
    generator = torch.Generator().manual_seed(seed)
    return {
        key: torch.zeros(shape)
        if key.endswith("bias")
        else torch.randn(shape, generator=generator) * (2 / shape[1:].numel()) ** 0.5
        for key, shape in shapes.items()
    }


@pytest.fixture(scope="session")
def lpips_trunks():
    """The trunks of LPIPS with drawn weights, by their name in the table of weights."""
    return {"alexnet": drawn_convolutions(alexnet, 1), "vgg16": drawn_convolutions(vgg16, 2)}


@pytest.fixture
def lpips_folder(tmp_path, monkeypatch, lpips_trunks):
    """A weights folder with both trunks; their digests are not asked for."""
    folder = tmp_path / "lpips_trunks"
    folder.mkdir()
    for name, state in lpips_trunks.items():
        monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], sha256=None))
        torch.save(state, folder / WEIGHTS[name].file)
    return folder


@pytest.fixture(scope="session")
def small_recogniser():
    """Build a small network in place of ArcFace; the same weights each time."""

    def build():
        with torch.random.fork_rng():
            torch.manual_seed(3)
            layers = [torch.nn.Conv2d(3, 8, 9, stride=8), torch.nn.Tanh(), torch.nn.Flatten()]
            return torch.nn.Sequential(*layers, torch.nn.Linear(8 * 13 * 13, 16))

    return build


@pytest.fixture
def drawn_weights(monkeypatch, lpips_trunks, small_recogniser):
    """Frozen networks have drawn weights, and no file is read for them."""
    pytest.importorskip("lpips")
    state = lpips.read_state
    monkeypatch.setattr(lpips, "find_weights", lambda name, folder: name)
    monkeypatch.setattr(lpips, "read_state", lambda path: lpips_trunks.get(path) or state(path))
    monkeypatch.setattr(identity, "load_arcface", lambda folder: small_recogniser())


def discriminator(image, *, features):
    """Two maps of logits, and features that depend on the picture."""
    maps = [image.mean(dim=1, keepdim=True) * 3, torch.nn.functional.avg_pool2d(image, 2)]
    return maps, [image.sin(), maps[1].square()]


@pytest.fixture
def loss_input():
    """Build a LossInput of `batch` random pictures; the logits of its discriminator depend on the picture."""

    def build(batch=3, size=32, seed=0, dtype=torch.float32):
        generator = torch.Generator().manual_seed(seed)
        pred = torch.rand(batch, 3, size, size, generator=generator) * 2 - 1
        target = torch.rand(batch, 3, size, size, generator=generator) * 2 - 1
        boxes = torch.tensor([[4, 4, 12, 12], [18, 4, 26, 13], [0, 0, 0, 0], [8, 18, 24, 30]]).repeat(batch, 1, 1)

        return LossInput(pred.to(dtype).requires_grad_(), target, boxes, Judge(discriminator, features=True))

    return build
