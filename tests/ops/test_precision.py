"""The switch for TF32, and what it must not reach."""

import pytest
import torch

from dmdnet.ops import component_patches
from dmdnet.ops.precision import full_float32_products, set_matmul_precision, torchs_own_precision

SWITCHES = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)


@pytest.fixture(autouse=True)
def _as_before():
    before = [switch.fp32_precision for switch in SWITCHES]
    yield
    for switch, precision in zip(SWITCHES, before, strict=True):
        switch.fp32_precision = precision


def test_high_precision_is_tf32_for_convolutions_and_products():
    set_matmul_precision("high")
    assert [switch.fp32_precision for switch in SWITCHES] == ["tf32", "tf32"]
    set_matmul_precision("highest")
    assert [switch.fp32_precision for switch in SWITCHES] == ["ieee", "ieee"]


def test_crops_and_pasting_keep_all_bits(monkeypatch):
    set_matmul_precision("high")
    seen = []
    resample = component_patches._resample

    def watched(*arguments):
        seen.append(torch.backends.cuda.matmul.fp32_precision)
        return resample(*arguments)

    monkeypatch.setattr(component_patches, "_resample", watched)
    features, boxes = torch.randn(1, 2, 8, 8), torch.tensor([[1, 1, 5, 6]])
    crop = component_patches.crop_components(features, boxes, 4)
    component_patches.paste_components(features, crop, boxes)
    assert seen == ["ieee", "ieee"]
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"


@pytest.mark.parametrize("precision", ["high", "highest"])
def test_a_library_with_torchs_older_switch_can_look_at_it(precision):
    set_matmul_precision(precision)
    before = torch.backends.cudnn.conv.fp32_precision
    with torchs_own_precision(torch.device("cpu")), torch.backends.cudnn.flags(enabled=True):
        pass
    assert torch.backends.cudnn.conv.fp32_precision == before


def test_full_precision_reaches_convolutions():
    set_matmul_precision("high")
    with full_float32_products(torch.device("cpu")):
        assert [switch.fp32_precision for switch in SWITCHES] == ["ieee", "ieee"]
    assert [switch.fp32_precision for switch in SWITCHES] == ["tf32", "tf32"]
