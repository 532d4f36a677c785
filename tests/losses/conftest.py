"""Small pictures, and a VGG19 with drawn weights in place of the file that tests do not have."""

import pytest
import torch

from dmdnet.losses import vgg
from dmdnet.losses.base import LossInput


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


@pytest.fixture
def loss_input():
    """Build a LossInput of `batch` random pictures; the logits of its discriminator depend on the picture."""

    def build(batch=3, size=32, seed=0, dtype=torch.float32):
        generator = torch.Generator().manual_seed(seed)
        pred = torch.rand(batch, 3, size, size, generator=generator) * 2 - 1
        target = torch.rand(batch, 3, size, size, generator=generator) * 2 - 1
        boxes = torch.tensor([[4, 4, 12, 12], [18, 4, 26, 13], [0, 0, 0, 0], [8, 18, 24, 30]]).repeat(batch, 1, 1)

        def discriminator(image):
            return [image.mean(dim=1, keepdim=True) * 3, torch.nn.functional.avg_pool2d(image, 2)]

        return LossInput(pred.to(dtype).requires_grad_(), target, boxes, discriminator)

    return build
