"""The VGG19 that perceptual and style loss share."""

import pytest
import torch
from torchvision.models import vgg19

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.features.vgg import LAYERS, VGG19Features
from dmdnet.losses.base import build_losses
from dmdnet.losses.perceptual import StyleLoss, VGG19PerceptualLoss
from dmdnet.registry import LOSSES
from dmdnet.weights import read_state


def test_layers_are_torchvisions_convolutions():
    with torch.device("meta"):
        reference = vgg19(weights=None).features
    convolutions = {index: module for index, module in enumerate(reference) if isinstance(module, torch.nn.Conv2d)}
    assert [index for index, *_ in LAYERS.values()] == list(convolutions)
    for index, channels_in, channels_out, _ in LAYERS.values():
        assert (convolutions[index].in_channels, convolutions[index].out_channels) == (channels_in, channels_out)


def test_features_are_torchvisions(vgg19_folder):
    state = read_state(vgg19_folder / "vgg19-dcbb9e9d.pth")
    features = VGG19Features(["conv1_2", "conv3_1", "conv4_1"], state)
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = features(image)
    from torchvision.models.vgg import cfgs, make_layers

    reference = make_layers(cfgs["E"])[:20]
    reference.load_state_dict({key.removeprefix("features."): item for key, item in state.items()})
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    x = ((image + 1) / 2 - mean) / std
    for index, module in enumerate(reference):
        module.inplace = False
        x = module(x)
        for name, (place, *_) in LAYERS.items():
            if place == index and name in found:
                torch.testing.assert_close(found[name], x, rtol=1e-4, atol=1e-4)
    assert set(found) == {"conv1_2", "conv3_1", "conv4_1"}


def test_perceptual_and_style_run_one_network_once_per_picture(vgg19_folder, loss_input, monkeypatch):
    components = [
        LOSSES.component("VGG19PerceptualLoss", layer_weights={"conv1_1": 1.0, "conv3_1": 1.0}),
        LOSSES.component("StyleLoss", layer_weights={"conv2_1": 0.5}),
    ]
    perceptual, style = build_losses(components)
    assert perceptual.features is style.features
    assert perceptual.features.layers == {"conv1_1", "conv2_1", "conv3_1"}
    runs = []
    forward = VGG19Features.forward
    monkeypatch.setattr(VGG19Features, "forward", lambda self, image: runs.append(1) or forward(self, image))
    inputs = loss_input()
    assert (perceptual(inputs) + style(inputs)).isfinite().all()
    assert len(runs) == 2  # prediction and target


def test_values_from_the_features(vgg19_folder, loss_input):
    (perceptual,) = build_losses([LOSSES.component("VGG19PerceptualLoss", layer_weights={"conv1_1": 2.0})])
    inputs = loss_input()
    with torch.no_grad():
        pred, target = perceptual.features(inputs.pred_BCHW), perceptual.features(inputs.target_BCHW)
    expected = 2 * (pred["conv1_1"] - target["conv1_1"]).abs().mean(dim=(1, 2, 3))
    torch.testing.assert_close(perceptual(inputs), expected)


def test_the_network_is_frozen(vgg19_folder):
    (loss,) = build_losses([LOSSES.component("StyleLoss")])
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_missing_weights_say_which_file_and_where(tmp_path):
    with pytest.raises(WeightsError, match=r"vgg19-dcbb9e9d.pth is missing.*https://"):
        build_losses([LOSSES.component("VGG19PerceptualLoss")], str(tmp_path))


@pytest.mark.parametrize("layers", [{"conv9_1": 1.0}, {}])
@pytest.mark.parametrize("loss", [VGG19PerceptualLoss, StyleLoss])
def test_unknown_layers_are_named(layers, loss):
    with pytest.raises(ConfigError, match="conv1_1"):
        loss(layer_weights=layers)


def test_damaged_weights_are_named(tmp_path, vgg19_folder):
    path = tmp_path / "broken.pth"
    path.write_bytes(b"not a zip file")
    with pytest.raises(WeightsError, match=r"broken\.pth"):
        read_state(path)
    state = read_state(vgg19_folder / "vgg19-dcbb9e9d.pth")
    state["features.0.weight"] = state["features.0.weight"][:3]
    with pytest.raises(WeightsError, match=r"features.0.weight should have shape \(64, 3, 3, 3\)"):
        VGG19Features(["conv1_1"], state)
