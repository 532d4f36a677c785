"""Specific dictionaries are batched, joined, cut and stored without changing what is read from them."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from dmdnet.archs.dmdnet import DMDNet, SpecificDictionary
from dmdnet.errors import DataError, NetworkInputError, WeightsError

FACE = torch.tensor([[12, 16, 26, 30], [36, 16, 50, 30], [26, 28, 38, 40], [20, 40, 46, 58]], dtype=torch.int32)


@pytest.fixture(scope="module")
def net() -> DMDNet:
    torch.manual_seed(0)
    return DMDNet(image_size=64, base_channels=8, dictionary_size=3).eval().requires_grad_(False)


def enrol(net: DMDNet, count: int, seed: int) -> SpecificDictionary:
    images = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return net.enrol(images, FACE.expand(count, 4, 4))


def restore(net: DMDNet, dictionary: SpecificDictionary) -> torch.Tensor:
    count = len(dictionary)
    lq = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(9)).expand(count, -1, -1, -1)
    specific = net(lq, FACE.expand(count, 4, 4), dictionary, outputs=("specific",)).specific
    assert specific is not None
    return specific


def near(ours: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


def test_join_is_enrolling_all_at_once(net: DMDNet) -> None:
    images = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    parts = [net.enrol(part, FACE.expand(len(part), 4, 4)) for part in (images[:2], images[2:])]
    joined = parts[0].join(parts[1])
    assert joined.num_slots == 5
    near(restore(net, joined), restore(net, net.enrol(images, FACE.expand(5, 4, 4))))


def test_join_of_batches_with_padding(net: DMDNet) -> None:
    batch = SpecificDictionary.batch([enrol(net, 1, 1), enrol(net, 3, 2)])
    more = SpecificDictionary.batch([enrol(net, 2, 3), enrol(net, 1, 4)])
    result = restore(net, batch.join(more))
    near(result[:1], restore(net, enrol(net, 1, 1).join(enrol(net, 2, 3))))
    near(result[1:], restore(net, enrol(net, 3, 2).join(enrol(net, 1, 4))))


def test_batch_and_slices_keep_the_people(net: DMDNet) -> None:
    people = [enrol(net, count, count) for count in (1, 3, 2)]
    batch = SpecificDictionary.batch(people)
    assert (len(batch), batch.num_slots) == (3, 3)
    assert batch.valid_B3R.sum(-1).tolist() == [[1] * 3, [3] * 3, [2] * 3]
    result = restore(net, batch)
    for index, person in enumerate(people):
        near(result[index : index + 1], restore(net, person))
        near(restore(net, batch[index : index + 1]), restore(net, person))


def test_saved_and_loaded_unchanged(net: DMDNet, tmp_path: Path) -> None:
    batch = SpecificDictionary.batch([enrol(net, 1, 1), enrol(net, 3, 2)])
    path = batch.save(tmp_path / "people.safetensors")
    loaded = SpecificDictionary.load(path)
    assert (loaded.image_size, loaded.base_channels) == (64, 8)
    assert torch.equal(loaded.valid_B3R, batch.valid_B3R)
    for name, key in batch.keys.items():
        assert torch.equal(loaded.keys[name], key)
        assert torch.equal(loaded.values[name], batch.values[name])
    assert list(tmp_path.iterdir()) == [path]


def test_to_and_detach(net: DMDNet) -> None:
    trained = DMDNet(image_size=64, base_channels=8, dictionary_size=3)
    dictionary = enrol(trained, 2, 0)
    assert dictionary.values["mouth_8"].requires_grad
    assert not dictionary.detach().values["mouth_8"].requires_grad
    assert dictionary.to("meta").device.type == "meta"


def _tampered(net: DMDNet, path: Path, tensors: dict | None = None, metadata: dict | None = None) -> Path:
    enrol(net, 1, 0).save(path)
    with safetensors.safe_open(path, framework="pt") as file:
        content = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        kept = file.metadata()
    content = {name: item for name, item in (content | (tensors or {})).items() if item is not None}
    safetensors.torch.save_file(content, path, kept | (metadata or {}))
    return path


def test_unusable_files_are_named(net: DMDNet, tmp_path: Path) -> None:
    path = tmp_path / "person.safetensors"
    with pytest.raises(WeightsError, match="no such file"):
        SpecificDictionary.load(path)
    path.write_bytes(b"not safetensors at all")
    with pytest.raises(WeightsError, match=r"person\.safetensors: cannot be read"):
        SpecificDictionary.load(path)
    with pytest.raises(WeightsError, match="not a specific dictionary"):
        SpecificDictionary.load(_tampered(net, path, metadata={"format": "other"}))
    with pytest.raises(WeightsError, match="format version '99'"):
        SpecificDictionary.load(_tampered(net, path, metadata={"version": "99"}))
    with pytest.raises(WeightsError, match="lack a valid network size"):
        SpecificDictionary.load(_tampered(net, path, metadata={"image_size": "61"}))
    with pytest.raises(WeightsError, match=r"key of mouth_4 must be .* not missing"):
        SpecificDictionary.load(_tampered(net, path, tensors={"key.mouth_4": None}))
    with pytest.raises(WeightsError, match=r"value of left_eye_2 must be"):
        SpecificDictionary.load(_tampered(net, path, tensors={"value.left_eye_2": torch.zeros(1, 1, 8, 3, 3)}))
    with pytest.raises(WeightsError, match="'valid' must be bool"):
        SpecificDictionary.load(_tampered(net, path, tensors={"valid": None}))
    with pytest.raises(DataError, match="does not exist"):
        enrol(net, 1, 0).save(tmp_path / "missing" / "person.safetensors")


def test_people_and_networks_must_match(net: DMDNet) -> None:
    with pytest.raises(NetworkInputError, match="same people"):
        enrol(net, 1, 0).join(SpecificDictionary.batch([enrol(net, 1, 0)] * 2))
    with pytest.raises(NetworkInputError, match="at least one"):
        SpecificDictionary.batch([])
    other = DMDNet(image_size=64, base_channels=12, dictionary_size=3)
    with pytest.raises(NetworkInputError, match="different networks"):
        enrol(net, 1, 0).join(enrol(other, 1, 0))
