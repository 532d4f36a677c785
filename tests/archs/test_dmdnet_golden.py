"""The published network's numbers, at full size: every array of the golden files.

The weights are made by rule from each key's checksum, so that nobody needs the 600 MB file.
Tolerances: 5e-5 on outputs, 2e-4 on style-aligned reads, indices exact; 3e-4 on the soft weights, whose published
float32 values are themselves 1.8e-4 from those of a float64 network (similarities of 800 under a softmax).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dmdnet.archs.dmdnet import DMDNet, SpecificDictionary
from dmdnet.archs.dmdnet.dictionary import read_specific
from dmdnet.archs.dmdnet.encoder import EncodedFace
from dmdnet.archs.dmdnet.fusion import align_style

GOLDEN = Path(__file__).parents[1] / "golden"
OUTPUT, ALIGNED, WEIGHT = 5e-5, 2e-4, 3e-4
COMPONENT = {"LE": "left_eye", "RE": "right_eye", "MO": "mouth"}
Arrays = Mapping[str, np.ndarray]


def philox_state(shapes: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """Return weights under the published names by the rule of the specification."""
    state = {}
    for key, shape in shapes.items():
        if key.endswith("weight_v"):
            continue
        generator = np.random.Generator(np.random.Philox(zlib.crc32(key.encode())))
        if key.endswith("weight_u"):
            draw = generator.standard_normal(shape)
            state[key] = torch.from_numpy((draw / np.linalg.norm(draw)).astype(np.float32))
            continue
        draw = generator.standard_normal(shape, dtype=np.float32)
        if key.endswith("weight_orig"):
            draw = draw * np.float32(np.prod(shape[1:]) ** -0.5)
        elif key.endswith("bias"):
            draw = draw * np.float32(0.1)
        state[key] = torch.from_numpy(draw)
    for key in shapes:
        if key.endswith("weight_v"):
            base = key.removesuffix("weight_v")
            matrix = state[base + "weight_orig"].flatten(1).double()
            v = matrix.T @ state[base + "weight_u"].double()
            state[key] = (v / v.norm()).float()
    return state


def image(seed: int, count: int) -> torch.Tensor:
    """Return the golden files' pictures (count, 3, 512, 512)."""
    generator = np.random.Generator(np.random.Philox(seed))
    low = torch.from_numpy(generator.standard_normal((count, 3, 16, 16), dtype=np.float32))
    fine = torch.from_numpy(generator.standard_normal((count, 3, 512, 512), dtype=np.float32))
    return (F.interpolate(low, size=512, mode="bicubic", align_corners=False) + 0.1 * fine).clamp(-1, 1)


@pytest.fixture(scope="module")
def net() -> DMDNet:
    with torch.device("meta"):
        net = DMDNet()
    state = philox_state({key: tensor.shape for key, tensor in net.published_state_dict().items()})
    net = net.to_empty(device="cpu")
    net.load_published_state_dict(state)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def golden() -> Arrays:
    return dict(np.load(GOLDEN / "dmdnet_golden.npz"))


@pytest.fixture(scope="module")
def hard() -> Arrays:
    return dict(np.load(GOLDEN / "dmdnet_golden_hard.npz"))


@pytest.fixture(scope="module")
def lq() -> torch.Tensor:
    return image(1, 3)


@pytest.fixture(scope="module")
def loc(golden: Arrays) -> torch.Tensor:
    return torch.from_numpy(golden["loc"])


@pytest.fixture(scope="module")
def dictionary(net: DMDNet, loc: torch.Tensor) -> SpecificDictionary:
    return net.enrol(image(2, 4), loc[[0, 1, 2, 1]])


@pytest.fixture(scope="module")
def face(net: DMDNet, lq: torch.Tensor, loc: torch.Tensor) -> EncodedFace:
    return net.encode(lq[:1], loc[:1])


def first(dictionary: SpecificDictionary, count: int) -> SpecificDictionary:
    """Return the dictionary of the first `count` references."""
    return SpecificDictionary(
        {name: item[:, :count] for name, item in dictionary.keys.items()},
        {name: item[:, :count] for name, item in dictionary.values.items()},
        dictionary.valid_B3R[..., :count],
        dictionary.image_size,
        dictionary.base_channels,
    )


def site(component: str, scale: str | int) -> str:
    """Return our name of a published site such as LE, 256."""
    return f"{COMPONENT[component.upper()]}_{512 // int(scale)}"


def assert_near(ours: torch.Tensor, published: np.ndarray, tolerance: float) -> None:
    torch.testing.assert_close(ours.contiguous(), torch.from_numpy(published), rtol=0, atol=tolerance)


def test_every_array_of_the_golden_files_is_checked(golden: Arrays, hard: Arrays) -> None:
    checked = (
        r"loc|generic_[012]|generic_batch3|specific_refs[124]_[01]|dict4_(LE|RE|MO)(256|128|64)(Key|Value)"
        r"|Elq_f(256|128|64)|Elq_(le|re|mo)(256|128|64)|Elq_(le|re|mo)_(256|128|64)_q"
        r"|generic_(LE|RE|MO)(256|128|64)Norm|index_(LE|RE|MO)_(256|128|64)"
    )
    checked_hard = (
        r"loc|soft_refs[124]|soft_weights_(LE256|MO128|RE64)|(overlap|flat)_(generic|specific)|flat_(LE|MO)64Norm"
    )
    assert [key for key in golden if not re.fullmatch(checked, key)] == []
    assert [key for key in hard if not re.fullmatch(checked_hard, key)] == []
    assert (len(golden), len(hard)) == (68, 13)


def test_encoder_crops_and_queries(face: EncodedFace, golden: Arrays) -> None:
    for level, scale in enumerate((256, 128, 64)):
        assert_near(face.features[level][0].flatten(1)[:, ::61], golden[f"Elq_f{scale}"], OUTPUT)
        for component in ("le", "re", "mo"):
            name = site(component, scale)
            assert_near(face.crops[name][0].flatten(1)[:, ::61], golden[f"Elq_{component}{scale}"], OUTPUT)
            assert_near(face.queries[name][0].flatten(1)[:, ::61], golden[f"Elq_{component}_{scale}_q"], OUTPUT)


def test_generic_read_and_style_alignment(net: DMDNet, face: EncodedFace, golden: Arrays) -> None:
    reads = net.generic.read(face.queries)
    for component in COMPONENT:
        for scale in (256, 128, 64):
            name = site(component, scale)
            assert reads[name].weights[0].argmax() == golden[f"index_{component}_{scale}"]
            aligned = align_style(reads[name].values, face.crops[name])
            assert_near(aligned[0].flatten(1)[:, ::61], golden[f"generic_{component}{scale}Norm"], ALIGNED)


def test_specific_dictionary_of_four_references(dictionary: SpecificDictionary, golden: Arrays) -> None:
    for component in COMPONENT:
        for scale in (256, 128, 64):
            name = site(component, scale)
            key, value = dictionary.keys[name][0].flatten(2), dictionary.values[name][0].flatten(2)
            assert_near(key[..., ::7], golden[f"dict4_{component}{scale}Key"], OUTPUT)
            assert_near(value[..., ::7], golden[f"dict4_{component}{scale}Value"], OUTPUT)


def test_generic_outputs_of_a_batch(net: DMDNet, lq: torch.Tensor, loc: torch.Tensor, golden: Arrays) -> None:
    generic = net(lq, loc, outputs=("generic",)).generic
    assert_near(generic[..., ::8, ::8], golden["generic_batch3"], OUTPUT)
    for index in range(3):
        assert_near(generic[index, :, ::4, ::4], golden[f"generic_{index}"], OUTPUT)


@pytest.mark.parametrize("index", [0, 1])
def test_specific_outputs_of_mixed_people(
    net: DMDNet, lq: torch.Tensor, loc: torch.Tensor, dictionary: SpecificDictionary, golden: Arrays, index: int
) -> None:
    """The same face with one, two and four references, as three people of one batch."""
    people = SpecificDictionary.batch([first(dictionary, count) for count in (1, 2, 4)])
    specific = net(lq[[index] * 3], loc[[index] * 3], people, outputs=("specific",)).specific
    for row, count in enumerate((1, 2, 4)):
        assert_near(specific[row, :, ::4, ::4], golden[f"specific_refs{count}_{index}"], OUTPUT)


def test_soft_reads_show_the_temperature(net: DMDNet, hard: Arrays) -> None:
    loc = torch.from_numpy(hard["loc"])
    lq, refs = image(31, 3)[:1], (image(21, 1) + 0.01 * image(22, 4)).clamp(-1, 1)
    dictionary = net.enrol(refs, loc[[0, 0, 0, 0]])
    people = SpecificDictionary.batch([first(dictionary, count) for count in (1, 2, 4)])
    result = net(lq.expand(3, -1, -1, -1), loc[[0, 0, 0]], people, outputs=("specific",))
    for row, count in enumerate((1, 2, 4)):
        assert_near(result.specific[row, :, ::4, ::4], hard[f"soft_refs{count}"], OUTPUT)
    for component, scale in (("LE", 256), ("MO", 128), ("RE", 64)):
        weights = result.specific_weights[site(component, scale)][2]
        assert_near(weights, hard[f"soft_weights_{component}{scale}"], WEIGHT)


def test_overlapping_boxes_and_flat_crops(net: DMDNet, hard: Arrays) -> None:
    loc = torch.from_numpy(hard["loc"])
    dictionary = net.enrol(image(41, 2), loc[[0, 2]])
    flat = image(81, 1)
    flat[..., 160:500, 80:420] = flat[..., 160:500, 80:420] * 1e-3 + 0.2
    lq = torch.cat([image(31, 3)[1:2], flat])
    result = net(lq, loc[[1, 2]], dictionary)
    for row, name in enumerate(("overlap", "flat")):
        assert_near(result.generic[row, :, ::4, ::4], hard[f"{name}_generic"], OUTPUT)
        assert_near(result.specific[row, :, ::4, ::4], hard[f"{name}_specific"], OUTPUT)
    face = net.encode(flat, loc[2:])
    reads = net.generic.read(face.queries)
    for component in ("LE", "MO"):
        name = site(component, 64)
        assert_near(align_style(reads[name].values, face.crops[name])[0], hard[f"flat_{component}64Norm"], ALIGNED)
    assert read_specific(face.queries, dictionary, net.size)[name].weights.shape == (1, 2)
