"""The batched crop and paste agree with slicing, for every kind of box."""

from __future__ import annotations

import pytest
import torch

from dmdnet.ops.component_patches import (
    crop_components,
    crop_components_by_slicing,
    paste_components,
    paste_components_by_slicing,
)

HEIGHT, WIDTH = 48, 56
BOXES = {
    "ordinary": (10, 7, 31, 25),
    "full image": (0, 0, WIDTH, HEIGHT),
    "one pixel": (20, 30, 21, 31),
    "one row": (3, 17, 50, 18),
    "one column": (55, 2, 56, 46),
    "top left corner": (0, 0, 9, 8),
    "bottom right corner": (41, 39, WIDTH, HEIGHT),
    "same size as the patch": (5, 6, 18, 19),
    "cut by the border": (-6, 40, 70, 60),
    "empty": (12, 12, 12, 30),
    "reversed": (30, 30, 20, 40),
    "outside": (60, 10, 70, 20),
}


def _inputs(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(len(BOXES), 5, HEIGHT, WIDTH, generator=generator, dtype=dtype)
    return features, torch.tensor(list(BOXES.values()), dtype=torch.int32)


@pytest.mark.parametrize("size", [1, 2, 7, 13, 40])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_crop_equals_slicing_with_gradients(size: int, memory_format: torch.memory_format) -> None:
    features, boxes = _inputs()
    ours = features.clone(memory_format=memory_format).requires_grad_()
    twin = features.clone().requires_grad_()
    got, expected = crop_components(ours, boxes, size), crop_components_by_slicing(twin, boxes, size)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
    weight = torch.randn(got.shape, generator=torch.Generator().manual_seed(4))
    (got * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(ours.grad, twin.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 7, 13, 40])
def test_paste_equals_slicing_with_gradients(size: int) -> None:
    features, boxes = _inputs()
    patch = torch.randn(len(BOXES), 5, size, size, generator=torch.Generator().manual_seed(5))
    results, gradients = [], []
    for paste in (paste_components, paste_components_by_slicing):
        map_, square = features.clone().requires_grad_(), patch.clone().requires_grad_()
        result = paste(map_, square, boxes)
        weight = torch.randn(result.shape, generator=torch.Generator().manual_seed(6))
        gradients.append(torch.autograd.grad((result * weight).sum(), [map_, square]))
        results.append(result)
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-5)
    for ours, twin in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, twin, rtol=1e-5, atol=1e-5)


def test_random_boxes_agree_at_the_sizes_of_the_network() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(24, 2, 256, 256, generator=generator)
    corners = torch.randint(0, 255, (24, 2), generator=generator)
    extent = torch.randint(1, 200, (24, 2), generator=generator)
    boxes = torch.cat([corners, (corners + extent).clamp(max=256)], dim=1).int()
    torch.testing.assert_close(
        crop_components(features, boxes, 55), crop_components_by_slicing(features, boxes, 55), rtol=0, atol=1e-5
    )
    patch = torch.randn(24, 2, 55, 55, generator=generator)
    torch.testing.assert_close(
        paste_components(features, patch, boxes),
        paste_components_by_slicing(features, patch, boxes),
        rtol=0,
        atol=1e-5,
    )


def test_an_empty_box_gives_zeros_and_writes_nothing() -> None:
    features, _ = _inputs()
    boxes = torch.tensor([[5, 5, 5, 20]], dtype=torch.int32).expand(len(features), 4)
    assert crop_components(features, boxes, 8).eq(0).all()
    assert torch.equal(paste_components(features, torch.ones(len(features), 5, 8, 8), boxes), features)


def test_gradients_are_those_of_the_numbers() -> None:
    features, boxes = _inputs(torch.float64)
    features, boxes = features[:2, :1, :6, :7].clone().requires_grad_(), torch.tensor([[1, 2, 6, 5], [0, 0, 7, 6]])
    patch = torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: crop_components(x, boxes, 4), features)
    assert torch.autograd.gradcheck(lambda x, y: paste_components(x, y, boxes), (features, patch))


def test_autocast_keeps_float32_interpolation() -> None:
    features, boxes = _inputs()
    expected = crop_components(features, boxes, 13)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(crop_components(features, boxes, 13), expected)
        pasted = paste_components(features.bfloat16(), expected, boxes)
    assert pasted.dtype == torch.bfloat16
