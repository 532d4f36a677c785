"""Small DMDNets: people of a batch do not mix, odd boxes are survived, everything learns, wrong input is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from dmdnet.archs.dmdnet import DMDNet, DMDNetOutput, SpecificDictionary
from dmdnet.errors import BoxError, ConfigError, NetworkInputError

SIZE = 64
FACE = [[12, 16, 26, 30], [36, 16, 50, 30], [26, 28, 38, 40], [20, 40, 46, 58]]


def make_net(image_size: int = SIZE, base_channels: int = 8, dictionary_size: int = 5) -> DMDNet:
    torch.manual_seed(0)
    return DMDNet(image_size=image_size, base_channels=base_channels, dictionary_size=dictionary_size).eval()


def faces(count: int, seed: int = 0, size: int = SIZE) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def boxes(*faces_: list[list[int]]) -> torch.Tensor:
    return torch.tensor(faces_, dtype=torch.int32)


def moved(dx: int, dy: int) -> list[list[int]]:
    return [[x0 + dx, y0 + dy, x1 + dx, y1 + dy] for x0, y0, x1, y1 in FACE]


def near(ours: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=tolerance)


@pytest.fixture(scope="module")
def net() -> DMDNet:
    return make_net().requires_grad_(False)


@pytest.mark.parametrize(("image_size", "base_channels"), [(64, 8), (96, 8), (128, 16)])
def test_sizes(image_size: int, base_channels: int) -> None:
    net = make_net(image_size, base_channels, 3).requires_grad_(False)
    scaled = torch.tensor([FACE, moved(2, 1)], dtype=torch.int32) * image_size // SIZE
    lq = faces(2, size=image_size)
    result = net(lq, scaled, net.enrol(lq, scaled))
    assert result.generic is not None
    assert result.generic.shape == result.specific.shape == lq.shape
    assert result.generic.abs().max() <= 1
    assert not torch.equal(result.generic, result.specific)


def test_people_with_one_three_and_seven_references_give_what_each_gives_alone(net: DMDNet) -> None:
    counts, slots = (1, 3, 7), 7
    lq, lq_boxes = faces(3), boxes(FACE, moved(3, -2), moved(-4, 5))
    refs, ref_boxes = (
        faces(3 * slots, 1).view(3, slots, 3, SIZE, SIZE),
        boxes(*[moved(i % 5, i % 3) for i in range(21)]),
    )
    ref_boxes = ref_boxes.view(3, slots, 4, 4)
    mask = torch.arange(slots)[None] < torch.tensor(counts)[:, None]
    together = net(lq, lq_boxes, net.enrol(refs, ref_boxes, mask))
    alone = [net.enrol(refs[i, :count], ref_boxes[i, :count]) for i, count in enumerate(counts)]
    for i, dictionary in enumerate(alone):
        single = net(lq[i : i + 1], lq_boxes[i : i + 1], dictionary)
        near(together.specific[i], single.specific[0])
        near(together.generic[i], single.generic[0])
    batched = net(lq, lq_boxes, SpecificDictionary.batch(alone))
    near(batched.specific, together.specific)


def test_padding_is_read_neither_when_it_is_encoded_nor_when_it_is_skipped(net: DMDNet) -> None:
    refs, ref_boxes = faces(4, 1)[None], boxes(FACE, FACE, FACE, FACE)[None]
    mask = torch.tensor([[True, False, True, False]])
    skipped = net.enrol(refs, ref_boxes, mask)
    encoded = net.enrol(refs, ref_boxes)
    encoded = SpecificDictionary(encoded.keys, encoded.values, mask[:, None].expand(1, 3, 4), SIZE, 8)
    few = net.enrol(refs[0, ::2], ref_boxes[0, ::2])
    lq, lq_boxes = faces(1), boxes(FACE)
    results = [net(lq, lq_boxes, dictionary).specific for dictionary in (skipped, encoded, few)]
    near(results[0], results[1])
    near(results[0], results[2])


def test_without_valid_references_specific_is_generic(net: DMDNet) -> None:
    lq, lq_boxes = faces(2), boxes(FACE, FACE)
    mask = torch.tensor([[True, True], [False, False]])
    dictionary = net.enrol(faces(4, 1).view(2, 2, 3, SIZE, SIZE), boxes(*[FACE] * 4).view(2, 2, 4, 4), mask)
    result = net(lq, lq_boxes, dictionary)
    near(result.specific[1], result.generic[1], 1e-6)
    assert (result.specific[0] - result.generic[0]).abs().max() > 1e-4
    assert all(weights[1].eq(0).all() for weights in result.specific_weights.values())


def test_one_person_serves_the_batch(net: DMDNet) -> None:
    lq, lq_boxes = faces(3), boxes(FACE, moved(1, 2), moved(2, 1))
    dictionary = net.enrol(faces(2, 1), boxes(FACE, FACE))
    assert len(dictionary) == 1
    near(
        net(lq, lq_boxes, dictionary).specific,
        net(lq, lq_boxes, SpecificDictionary.batch([dictionary] * 3)).specific,
    )


def test_outputs_are_those_asked_for(net: DMDNet) -> None:
    lq, lq_boxes = faces(2), boxes(FACE, moved(1, 1))
    dictionary = net.enrol(faces(2, 1), boxes(FACE, FACE))
    both = net(lq, lq_boxes, dictionary)
    generic = net(lq, lq_boxes, outputs=("generic",))
    specific = net(lq, lq_boxes, dictionary, outputs=["specific"])
    near(generic.generic, both.generic)
    near(specific.specific, both.specific)
    assert generic.specific is None
    assert specific.generic is None
    assert net(lq, lq_boxes).specific is None
    assert set(both.generic_weights) == {site.name for site in net.sites}
    for weights in (*both.generic_weights.values(), *both.specific_weights.values()):
        near(weights.sum(-1), torch.ones(2))
    assert all(item.shape == (2,) for mask in both.masks.values() for item in mask)


@pytest.mark.parametrize(
    "box",
    [(0, 0, SIZE, SIZE), (0, 0, 8, 8), (56, 56, 64, 64), (-9, -5, 20, 21), (50, 50, 90, 80), (10, 10, 20, 58)],
    ids=["full image", "one coarse pixel", "corner", "over the top left", "over the bottom right", "tall"],
)
def test_any_box_gives_a_picture(net: DMDNet, box: tuple[int, int, int, int]) -> None:
    odd = boxes([list(box)] * 4)  # all components in one place: overlapping, too
    result = net(faces(1), odd, net.enrol(faces(2, 1), odd.expand(2, 4, 4)))
    assert result.generic.isfinite().all()
    assert result.specific.isfinite().all()
    assert (result.specific - result.generic).abs().max() > 0


@pytest.mark.parametrize(
    "box", [(10, 10, 10, 30), (30, 30, 20, 40), (17, 17, 22, 22), (70, 10, 90, 30), (-20, 5, -3, 20)]
)
def test_an_absent_component_is_left_out_and_harms_no_other(box: tuple[int, int, int, int]) -> None:
    """Also (17, 17, 22, 22): not empty, but empty at stride 8."""
    net = make_net()
    broken = [list(box), *FACE[1:]]
    lq, lq_boxes = faces(2), boxes(broken, FACE)
    refs, ref_boxes = faces(3, 1), boxes(FACE, broken, FACE)
    dictionary = net.enrol(refs, ref_boxes)
    assert dictionary.valid_B3R.tolist() == [[[True, False, True], [True] * 3, [True] * 3]]
    result = net(lq, lq_boxes, dictionary)
    face = net.encode(lq, lq_boxes)
    style = net.fusion.paste(face, [face.crops])[0]
    assert face.present_B3.tolist() == [[False, True, True], [True, True, True]]
    top_left = (slice(0, 1), slice(None), slice(0, 16), slice(0, 16))
    assert torch.equal(style[top_left], face.features[0][top_left])
    intact = net(lq[1:], lq_boxes[1:], dictionary)
    near(result.generic[1:], intact.generic)
    (result.generic.sum() + result.specific.sum()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


def test_a_reference_without_a_mouth_counts_for_the_eyes_only(net: DMDNet) -> None:
    mouthless = [*FACE[:3], [5, 5, 5, 5]]
    lq, lq_boxes = faces(1), boxes(FACE)
    result = net(lq, lq_boxes, net.enrol(faces(1, 1), boxes(mouthless)))
    assert result.specific_weights["mouth_2"].item() == 0
    assert result.specific_weights["left_eye_2"].item() == 1


def _loss(result: DMDNetOutput, target: torch.Tensor) -> torch.Tensor:
    return (result.generic - target).abs().mean() + (result.specific - target).abs().mean()


@pytest.mark.parametrize("base_channels", [8, 16])
def test_gradients_reach_every_parameter(base_channels: int) -> None:
    net = make_net(base_channels=base_channels).train()
    lq, lq_boxes = faces(2), boxes(FACE, moved(2, 3))
    refs, ref_boxes = faces(6, 1).view(2, 3, 3, SIZE, SIZE), boxes(*[FACE] * 6).view(2, 3, 4, 4)
    _loss(net(lq, lq_boxes, net.enrol(refs, ref_boxes)), faces(2, 5)).backward()
    silent = [name for name, item in net.named_parameters() if item.grad is None or not item.grad.abs().max() > 0]
    assert silent == []
    assert all(item.grad.isfinite().all() for item in net.parameters())


def test_a_step_without_references_still_gives_every_parameter_a_gradient() -> None:
    net = make_net().train()
    mask = torch.zeros(2, 3, dtype=torch.bool)
    refs, ref_boxes = faces(6, 1).view(2, 3, 3, SIZE, SIZE), boxes(*[FACE] * 6).view(2, 3, 4, 4)
    _loss(net(faces(2), boxes(FACE, FACE), net.enrol(refs, ref_boxes, mask)), faces(2, 5)).backward()
    assert [name for name, item in net.named_parameters() if item.grad is None] == []
    assert all(item.grad.isfinite().all() for item in net.parameters())


def test_no_value_is_read_on_the_host() -> None:
    """The meta device has shapes and no values: whatever asks for one raises there."""
    with torch.device("meta"):
        net = DMDNet()
        lq, lq_boxes = torch.empty(2, 3, 512, 512), torch.empty(2, 4, 4, dtype=torch.int32)
        refs, ref_boxes = torch.empty(2, 3, 3, 512, 512), torch.empty(2, 3, 4, 4, dtype=torch.int32)
        dictionary = net.enrol(refs, ref_boxes, torch.empty(2, 3, dtype=torch.bool))
        result = net(lq, lq_boxes, SpecificDictionary.batch([dictionary[:1], dictionary[1:].join(dictionary[:1])]))
        (result.generic.sum() + result.specific.sum()).backward()
    assert result.specific.shape == lq.shape


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_nothing_waits_for_the_gpu() -> None:
    net = make_net().cuda()
    lq, lq_boxes = faces(2).cuda(), boxes(FACE, moved(1, 1)).cuda()
    refs, ref_boxes = faces(4, 1).view(2, 2, 3, SIZE, SIZE).cuda(), boxes(*[FACE] * 4).view(2, 2, 4, 4).cuda()
    mask = torch.ones(2, 2, dtype=torch.bool, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        result = net(lq, lq_boxes, net.enrol(refs, ref_boxes, mask))
        _loss(result, lq).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert result.specific.isfinite().all()


def test_double_precision_agrees() -> None:
    net = make_net().requires_grad_(False)
    lq, lq_boxes = faces(2), boxes(FACE, moved(2, 2))
    expected = net(lq, lq_boxes, net.enrol(lq, lq_boxes))
    net = net.double()
    result = net(lq.double(), lq_boxes, net.enrol(lq.double(), lq_boxes))
    assert result.specific.dtype == torch.float64
    near(expected.generic.double(), result.generic)
    near(expected.specific.double(), result.specific)


def test_training_twice_gives_the_same_bits() -> None:
    def train() -> dict[str, torch.Tensor]:
        net = make_net().train()
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
        lq, lq_boxes = faces(2), boxes(FACE, moved(2, 3))
        for _ in range(2):
            optimiser.zero_grad()
            _loss(net(lq, lq_boxes, net.enrol(faces(2, 1), boxes(FACE, FACE))), faces(2, 5)).backward()
            optimiser.step()
        return net.state_dict()

    first, second = train(), train()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_power_iteration_a_forward_whatever_is_asked() -> None:
    """Generic alone and both outputs leave the same singular vectors in what both run."""
    lq, lq_boxes = faces(1), boxes(FACE)
    states = []
    for outputs in (("generic",), ("generic", "specific")):
        net = make_net()
        dictionary = net.enrol(faces(1, 1), boxes(FACE))
        net.train()
        with torch.no_grad():
            net(lq, lq_boxes, dictionary, outputs=outputs)
        states.append({name: item for name, item in net.state_dict().items() if ".mask." not in name})
    assert all(torch.equal(item, states[1][name]) for name, item in states[0].items())


def test_bfloat16_autocast_is_near_float32() -> None:
    net = make_net(base_channels=16)
    lq, lq_boxes, refs, ref_boxes = faces(2), boxes(FACE, moved(2, 2)), faces(2, 1), boxes(FACE, FACE)
    expected = net(lq, lq_boxes, net.enrol(refs, ref_boxes))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = net(lq, lq_boxes, net.enrol(refs, ref_boxes))
        loss = _loss(result, lq)
    loss.backward()
    assert result.generic.dtype == torch.float32
    near(result.generic, expected.generic, 0.03)
    near(result.specific, expected.specific, 0.03)
    assert all(item.grad is not None and item.grad.isfinite().all() for item in net.parameters())


def test_channels_last_is_the_same_network() -> None:
    net = make_net()
    lq, lq_boxes = faces(2), boxes(FACE, moved(2, 2))
    expected = net(lq, lq_boxes, net.enrol(lq, lq_boxes))
    net = net.to(memory_format=torch.channels_last)
    lq = lq.contiguous(memory_format=torch.channels_last)
    result = net(lq, lq_boxes, net.enrol(lq, lq_boxes))
    near(result.generic, expected.generic)
    near(result.specific, expected.specific)


def test_generic_dictionary_from_faces() -> None:
    net = make_net(dictionary_size=5).train()
    before = {name: item.clone() for name, item in net.state_dict().items() if not name.startswith("generic.")}
    images, image_boxes = faces(5, 2), boxes(*[moved(i, -i) for i in range(5)])
    net.initialise_generic_dictionary(images, image_boxes, chunk=2)
    assert net.training
    after = net.state_dict()
    assert all(torch.equal(item, after[name]) for name, item in before.items())
    encoded = net.eval().enrol(images, image_boxes)
    for site in net.sites:
        near(net.generic.key_patches[site.name].detach(), encoded.keys[site.name][0].detach())
        near(net.generic.value_patches[site.name].detach(), encoded.values[site.name][0].detach())
    assert all(parameter.requires_grad for parameter in net.generic.parameters())


def test_generic_dictionary_refuses_too_few_faces_and_absent_components(net: DMDNet) -> None:
    with pytest.raises(NetworkInputError, match=r"5 faces.*not 4"):
        net.initialise_generic_dictionary(faces(4), boxes(*[FACE] * 4))
    with pytest.raises(BoxError, match=r"\[3\]"):
        net.initialise_generic_dictionary(faces(5), boxes(FACE, FACE, FACE, [[0, 0, 0, 0], *FACE[1:]], FACE))


WRONG: dict[str, tuple[Callable[[DMDNet], object], str]] = {
    "image size": (lambda net: net(faces(1, size=32), boxes(FACE)), r"\(N, 3, 64, 64\), not \(1, 3, 32, 32\)"),
    "integer picture": (lambda net: net(faces(1).byte(), boxes(FACE)), "floating point"),
    "box count": (lambda net: net(faces(2), boxes(FACE)), r"\(2, 4, 4\), not \(1, 4, 4\)"),
    "three boxes": (lambda net: net(faces(1), boxes(FACE[:3])), r"\(1, 4, 4\)"),
    "float boxes": (lambda net: net(faces(1), boxes(FACE).float()), "integer"),
    "unknown output": (lambda net: net(faces(1), boxes(FACE), outputs=("specifc",)), "specifc"),
    "output as a word": (lambda net: net(faces(1), boxes(FACE), outputs="generic"), "outputs"),
    "nothing to compute": (lambda net: net(faces(1), boxes(FACE), outputs=("specific",)), "enrol"),
    "reference size": (lambda net: net.enrol(faces(2, size=32), boxes(FACE, FACE)), "references must be"),
    "reference boxes": (lambda net: net.enrol(faces(2), boxes(FACE)), r"\(1, 2, 4, 4\)"),
    "no reference": (lambda net: net.enrol(faces(0), torch.zeros(0, 4, 4, dtype=torch.int32)), "at least one"),
    "mask shape": (lambda net: net.enrol(faces(1), boxes(FACE), torch.ones(1, 2).bool()), r"\(1, 1\), not \(1, 2\)"),
    "mask type": (lambda net: net.enrol(faces(1), boxes(FACE), torch.ones(1, 1)), "bool"),
    "people": (
        lambda net: net(
            faces(3), boxes(FACE, FACE, FACE), SpecificDictionary.batch([net.enrol(faces(1), boxes(FACE))] * 2)
        ),
        "2 people",
    ),
    "another network": (
        lambda net: net(faces(1), boxes(FACE), make_net(base_channels=16).enrol(faces(1), boxes(FACE))),
        "base_channels=16",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_named(net: DMDNet, case: str) -> None:
    call, message = WRONG[case]
    with pytest.raises(NetworkInputError, match=message):
        call(net)


@pytest.mark.parametrize(
    "options", [{"image_size": 60}, {"image_size": 16}, {"base_channels": 2}, {"dictionary_size": 0}]
)
def test_impossible_sizes_are_named(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        DMDNet(**options)
