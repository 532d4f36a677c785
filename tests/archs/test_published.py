"""Published names and back: nothing is lost, and what does not fit is listed."""

from __future__ import annotations

import re

import pytest
import torch

from dmdnet.archs.dmdnet import DMDNet
from dmdnet.errors import WeightsError


@pytest.fixture
def net() -> DMDNet:
    torch.manual_seed(0)
    return DMDNet(image_size=64, base_channels=8, dictionary_size=3)


def test_names_of_the_released_file() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(item.shape) for name, item in DMDNet().published_state_dict().items()}
    assert len(shapes) == 1014
    assert shapes["le_256_mem_key"] == (128, 16, 40, 40)
    assert shapes["mo_64_mem_value"] == (128, 256, 13, 13)
    assert shapes["E_lq.res3.Res.2.weight_v"] == (1152,)
    assert shapes["E_hq.MO_128_Q.Query.0.weight_orig"] == (32, 128, 3, 3)
    assert shapes["RE_64_Mask.convCat.0.weight_orig"] == (256, 255, 3, 3)
    assert shapes["MSDilate.convi.weight_orig"] == (256, 1024, 3, 3)
    assert shapes["up1.convup.3.bias"] == (128,)
    assert shapes["up4.3.Model.2.weight_u"] == (64,)
    pattern = r"(le|re|mo)_(256|128|64)_mem_(key|value)|(E_lq|E_hq|(LE|RE|MO)_(256|128|64)_\w+|MSDilate|up[1-4])\..+"
    assert [name for name in shapes if not re.fullmatch(pattern, name)] == []


def test_round_trip_changes_nothing(net: DMDNet) -> None:
    torch.manual_seed(1)
    other = DMDNet(image_size=64, base_channels=8, dictionary_size=3)
    published = net.published_state_dict()
    assert len(published) == len(net.state_dict()) == 1014
    other.load_published_state_dict(published)
    ours, back = other.state_dict(), other.published_state_dict()
    assert [name for name, item in net.state_dict().items() if not torch.equal(item, ours[name])] == []
    assert [name for name, item in published.items() if not torch.equal(item, back[name])] == []


def test_unused_queries_are_kept_and_not_trained(net: DMDNet) -> None:
    assert not [name for name, _ in net.named_parameters() if name.startswith("unused")]
    assert "E_hq.LE_256_Q.Query.0.bias" in net.published_state_dict()


def test_misfits_are_listed_and_nothing_is_loaded(net: DMDNet) -> None:
    before = {name: item.clone() for name, item in net.state_dict().items()}
    state = {name: torch.zeros_like(item) for name, item in net.published_state_dict().items()}
    del state["up4.0.bias"], state["le_64_mem_key"]
    state["module.extra"] = torch.zeros(1)
    state["MSDilate.convi.bias"] = torch.zeros(7)
    with pytest.raises(WeightsError) as caught:
        net.load_published_state_dict(state)
    message = str(caught.value)
    assert "2 missing: le_64_mem_key, up4.0.bias" in message
    assert "1 unexpected: module.extra" in message
    assert "1 of wrong shape: MSDilate.convi.bias (7,) instead of (32,)" in message
    after = net.state_dict()
    assert all(torch.equal(item, after[name]) for name, item in before.items())


def test_long_lists_are_cut(net: DMDNet) -> None:
    with pytest.raises(WeightsError, match=r"1014 missing: .* and 994 more$"):
        net.load_published_state_dict({})
