"""The discriminator's maps, and its limits."""

from __future__ import annotations

import pytest
import torch

from dmdnet.archs.multi_scale_discriminator import MultiScaleDiscriminator
from dmdnet.errors import ConfigError, NetworkInputError
from dmdnet.ops.spectral_norm import SpectralConv2d


def test_a_map_for_each_scale() -> None:
    net = MultiScaleDiscriminator(base_channels=4, num_scales=3, num_layers=2, max_channels=6)
    logits = net(torch.zeros(2, 3, 48, 64))
    assert [tuple(map_.shape) for map_ in logits] == [(2, 1, 12, 16), (2, 1, 6, 8), (2, 1, 3, 4)]
    widths = {module.weight_orig.shape[0] for module in net.modules() if isinstance(module, SpectralConv2d)}
    assert widths == {4, 6, 1}


def test_the_signal_reaches_the_logits_of_a_fresh_one() -> None:
    torch.manual_seed(0)
    net = MultiScaleDiscriminator(base_channels=8, num_scales=2, num_layers=3)
    smooth = torch.nn.functional.interpolate(torch.randn(4, 3, 4, 4), size=64, mode="bilinear").clamp(-1, 1)
    for map_ in net(smooth):
        assert 0.02 < map_.std() < 5


def test_real_and_fake_in_one_batch_are_judged_alone() -> None:
    net = MultiScaleDiscriminator(base_channels=4, num_scales=2, num_layers=2).eval()
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for together, alone in zip(net(x), net(x[2:]), strict=True):
        torch.testing.assert_close(together[2:], alone, rtol=0, atol=1e-5)


def test_features_come_beside_the_same_maps() -> None:
    net = MultiScaleDiscriminator(base_channels=4, num_scales=2, num_layers=2).eval()
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    maps, features = net(x, features=True)
    assert all(torch.equal(one, other) for one, other in zip(maps, net(x), strict=True))
    assert [tuple(item.shape[1:]) for item in features] == [(8, 16, 16), (16, 8, 8), (8, 8, 8), (16, 4, 4)]


def test_wrong_input_is_named() -> None:
    with pytest.raises(NetworkInputError, match="at least 8"):
        MultiScaleDiscriminator(base_channels=4, num_scales=2, num_layers=2)(torch.zeros(1, 3, 7, 64))
    with pytest.raises(ConfigError, match="num_scales=0"):
        MultiScaleDiscriminator(num_scales=0)
