"""U-Net, component and joint discriminators: their maps, what they look at, their limits."""

from __future__ import annotations

import pytest
import torch

from dmdnet.archs.component_discriminator import ComponentDiscriminator
from dmdnet.archs.joint_discriminator import JointDiscriminator
from dmdnet.archs.unet_discriminator import UNetDiscriminator
from dmdnet.errors import ConfigError, NetworkInputError
from dmdnet.ops.spectral_norm import SpectralConv2d
from dmdnet.registry import ARCHS

BOXES = torch.tensor([[[8, 8, 24, 24], [32, 8, 48, 24], [20, 20, 40, 40], [16, 40, 44, 60]]])


def noise(batch: int = 1, size: int = 64) -> torch.Tensor:
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_unet_judges_every_pixel_and_its_encoder_on_demand() -> None:
    net = UNetDiscriminator(base_channels=4, num_layers=3, max_channels=12, encoder_logits=True)
    assert [tuple(item.shape) for item in net(noise(2))] == [(2, 1, 64, 64), (2, 1, 8, 8)]
    assert [tuple(item.shape) for item in UNetDiscriminator(base_channels=4)(noise()[..., :50, :37])] == [
        (1, 1, 50, 37)
    ]
    assert not [module for module in net.modules() if isinstance(module, torch.nn.Conv2d)]
    assert {module.weight_orig.shape[0] for module in net.modules() if isinstance(module, SpectralConv2d)} == {
        1,
        4,
        8,
        12,
    }


def test_a_far_pixel_reaches_the_unets_logits_through_the_bottom() -> None:
    torch.manual_seed(0)
    net = UNetDiscriminator(base_channels=8, num_layers=4).eval()
    image = noise().requires_grad_()
    net(image)[0][0, 0, 32, 32].backward()
    assert (image.grad[0, :, :4, :4] != 0).any()


@pytest.mark.parametrize("kind", [UNetDiscriminator, ComponentDiscriminator])
def test_features_come_beside_the_same_maps(kind: type) -> None:
    net = kind(base_channels=4, num_layers=2).eval()
    arguments = (noise(), BOXES) if kind is ComponentDiscriminator else (noise(),)
    maps, features = net(*arguments, features=True)
    assert all(torch.equal(one, other) for one, other in zip(maps, net(*arguments), strict=True))
    assert len(features) >= 3
    assert all(item.requires_grad for item in features)


def test_component_discriminators_see_their_boxes_and_nothing_else() -> None:
    torch.manual_seed(0)
    net = ComponentDiscriminator(patch_size=16, base_channels=4, num_layers=2)
    for index, box in ((0, 0), (1, 1), (2, 3)):
        image = noise().requires_grad_()
        net(image, BOXES)[index].sum().backward()
        x0, y0, x1, y1 = BOXES[0, box].tolist()
        outside = torch.ones(64, 64, dtype=torch.bool)
        outside[y0:y1, x0:x1] = False
        assert (image.grad[0, :, outside] == 0).all()
        assert (image.grad[0, :, ~outside] != 0).any()


def test_an_empty_box_is_harmless() -> None:
    net = ComponentDiscriminator(patch_size=16, base_channels=4, num_layers=2)
    image = noise().requires_grad_()
    maps = net(image, torch.zeros_like(BOXES))
    sum(item.sum() for item in maps).backward()
    assert all(item.isfinite().all() for item in maps)
    assert (image.grad == 0).all()


def test_a_joint_discriminator_has_the_maps_of_its_parts() -> None:
    parts = {
        "picture": {"type": "MultiScaleDiscriminator", "base_channels": 4, "num_scales": 2, "num_layers": 2},
        "components": {"type": "ComponentDiscriminator", "base_channels": 4, "num_layers": 2, "patch_size": 16},
    }
    net = ARCHS.build(ARCHS.component("JointDiscriminator", parts=parts)).eval()
    found, features = net(noise(2), BOXES.repeat(2, 1, 1), features=True)
    assert {name: len(maps) for name, maps in found.items()} == {"picture": 2, "components": 3}
    assert len(features) == 2 * 2 + 3 * 2
    expected = net.parts["components"](noise(2), BOXES.repeat(2, 1, 1))
    assert all(torch.equal(one, other) for one, other in zip(found["components"], expected, strict=True))
    assert any(key.startswith("parts.components.components.left_eye.") for key in net.state_dict())


@pytest.mark.parametrize("name", ["a.b", "keys", ""])
def test_names_that_no_part_can_have(name: str) -> None:
    with pytest.raises(ConfigError, match=r"parts: .*; give each discriminator a name"):
        JointDiscriminator(parts={name: ARCHS.component("ComponentDiscriminator")})
    with pytest.raises(ConfigError, match="parts: empty"):
        JointDiscriminator(parts={})


def test_wrong_input_is_named() -> None:
    with pytest.raises(NetworkInputError, match="at least 16"):
        UNetDiscriminator(base_channels=4, num_layers=4)(torch.zeros(1, 3, 15, 64))
    with pytest.raises(ConfigError, match="num_layers=0"):
        UNetDiscriminator(num_layers=0)
    with pytest.raises(ConfigError, match=r"patch_size=7 at least"):
        ComponentDiscriminator(patch_size=7)
