"""SpectralConv2d computes what torch's first spectral norm computes, step by step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dmdnet.ops.spectral_norm import SpectralConv2d


def _twins(stride: int = 1, dilation: int = 1) -> tuple[SpectralConv2d, nn.Module]:
    """Return ours and torch's with the same state."""
    torch.manual_seed(0)
    twin = torch.nn.utils.spectral_norm(nn.Conv2d(3, 6, 3, stride=stride, padding=dilation, dilation=dilation))
    ours = SpectralConv2d(3, 6, stride=stride, dilation=dilation)
    assert {key: item.shape for key, item in ours.state_dict().items()} == {
        key: item.shape for key, item in twin.state_dict().items()
    }
    ours.load_state_dict(twin.state_dict())
    return ours, twin


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 3)])
def test_equal_to_torch_over_training_steps_and_in_evaluation(stride: int, dilation: int) -> None:
    ours, twin = _twins(stride, dilation)
    optimisers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (ours, twin)]
    for step in range(4):
        x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(step))
        for net, optimiser in zip((ours, twin), optimisers, strict=True):
            optimiser.zero_grad()
            net(x).square().mean().backward()
            optimiser.step()
        for name, item in twin.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], item, rtol=1e-6, atol=1e-6)
    ours.eval(), twin.eval()
    torch.testing.assert_close(ours(x), twin(x), rtol=1e-6, atol=1e-6)
    before = ours.weight_u.clone()
    ours(x)
    assert torch.equal(ours.weight_u, before)


def test_two_forwards_before_one_backward() -> None:
    ours, twin = _twins()
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    for net in (ours, twin):
        (net(x).square().mean() + net(2 * x).square().mean()).backward()
    torch.testing.assert_close(ours.weight_orig.grad, twin.weight_orig.grad, rtol=1e-6, atol=1e-6)


def test_fresh_weight_has_norm_one_at_once() -> None:
    torch.manual_seed(0)
    for conv in (SpectralConv2d(3, 64), SpectralConv2d(16, 2), SpectralConv2d(8, 80)):
        conv.eval()
        singular = torch.linalg.svdvals(conv.normalized_weight().flatten(1))
        torch.testing.assert_close(singular, torch.ones_like(singular), rtol=1e-4, atol=1e-4)


def test_sigma_stays_float32_under_autocast() -> None:
    conv = SpectralConv2d(8, 8).eval()
    expected = conv.normalized_weight()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(conv.normalized_weight(), expected)
        assert conv(torch.randn(1, 8, 4, 4)).dtype == torch.bfloat16


def test_no_memory_on_the_meta_device() -> None:
    with torch.device("meta"):
        assert SpectralConv2d(4, 4).weight_orig.is_meta
