"""How a recogniser is asked: colours, lengths, and never in training mode."""

import torch

from dmdnet.features.arcface import FaceEmbedding


def test_red_and_blue_are_exchanged_and_training_mode_never_comes():
    embedding = FaceEmbedding(torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()))
    chip = torch.tensor([1.0, 0.0, -2.0]).view(1, 3, 1, 1).expand(1, 3, 112, 112)
    torch.testing.assert_close(embedding(chip), torch.tensor([[-2.0, 0.0, 1.0]]) / 5**0.5)
    torch.nn.ModuleList([embedding]).train()
    assert not any(module.training for module in embedding.modules())


def test_a_network_for_rgb_gets_rgb():
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    chip = torch.tensor([3.0, 0.0, -4.0]).view(1, 3, 1, 1).expand(1, 3, 112, 112)
    torch.testing.assert_close(FaceEmbedding(network, bgr=False)(chip), torch.tensor([[0.6, 0.0, -0.8]]))
