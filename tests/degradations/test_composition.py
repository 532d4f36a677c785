"""Operations made of operations choose, order and repeat as they say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pydantic
import pytest

from dmdnet.degradations import Degradation, build_degradation, degrade
from dmdnet.degradations.composition import OneOfDraw
from dmdnet.errors import ConfigError
from dmdnet.registry import DEGRADATIONS

RED = {"type": "ColorJitter", "brightness": (0.5, 0.5)}
SHIFT = {"type": "ColorJitter", "shift": 30.0}
GREY = {"type": "Grayscale"}
NEVER = {"type": "Grayscale", "prob": 0.0}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 180, (12, 10, 3), dtype=np.uint8)


def build(name: str, /, **options: object) -> Degradation:
    return build_degradation([DEGRADATIONS.component(name, **options)])[0]


def test_one_of_chooses_by_weight() -> None:
    op, generator = build("OneOf", ops=(RED, GREY, SHIFT), weights=(1.0, 0.0, 3.0)), rng()
    counts = Counter(op.draw(generator, (8, 8)).index for _ in range(2000))
    assert counts[1] == 0
    assert counts[2] / 2000 == pytest.approx(0.75, abs=0.03)


def test_one_of_applies_the_chosen_one() -> None:
    op = build("OneOf", ops=(RED, GREY), weights=(0.0, 1.0))
    draw = op.draw(rng(), (8, 8))
    assert draw == OneOfDraw(1, op.ops[1].draw(rng(), (8, 8)))
    assert np.ptp(op.apply(picture(), draw), axis=2).max() < 1e-3


def test_nothing_to_do_is_no_draw() -> None:
    assert build("OneOf", ops=(NEVER,)).draw(rng(), (8, 8)) is None
    assert build("Sequential", ops=(RED,), times=(0, 0)).draw(rng(), (8, 8)) is None


def test_shuffle_draws_all_orders_equally() -> None:
    op, generator = build("Shuffle", ops=(RED, GREY, SHIFT)), rng()
    counts = Counter(op.draw(generator, (8, 8)).order for _ in range(3000))
    assert len(counts) == 6
    assert min(counts.values()) / 3000 == pytest.approx(1 / 6, abs=0.03)


def test_shuffle_applies_in_its_order() -> None:
    op, generator = build("Shuffle", ops=(GREY, SHIFT)), rng()
    spreads = {}
    for _ in range(20):
        draw = op.draw(generator, (8, 8))
        spreads[draw.order] = np.ptp(op.apply(picture(), draw), axis=2).max()
    assert spreads[(1, 0)] < 1e-3  # grey comes last
    assert spreads[(0, 1)] > 1.0


def test_sequential_repeats_with_new_draws() -> None:
    op, generator = build("Sequential", ops=(SHIFT, RED), times=(2, 4)), rng()
    draws = [op.draw(generator, (8, 8)) for _ in range(200)]
    assert {len(draw) for draw in draws} == {2, 3, 4}
    assert all(draw[0] != draw[1] for draw in draws)


def test_second_order_is_the_list_written_twice() -> None:
    twice = build("Sequential", ops=(SHIFT, RED), times=(2, 2))
    written = build_degradation([DEGRADATIONS.component(op["type"], **_options(op)) for op in (SHIFT, RED) * 2])
    generator = rng(4)
    generator.random()  # whether the whole is applied
    np.testing.assert_array_equal(degrade(picture(), (twice,), rng(4)), degrade(picture(), written, generator))


def _options(op: dict) -> dict:
    return {key: value for key, value in op.items() if key != "type"}


def test_compositions_hold_compositions() -> None:
    inner = {"type": "OneOf", "ops": (RED, {"type": "Sequential", "ops": (GREY, SHIFT)})}
    op = build("Shuffle", ops=(inner, {"type": "JPEGCompression", "quality": (50, 60)}))
    result = degrade(picture(), (op,), rng())
    assert result.shape == picture().shape
    assert result.dtype == np.uint8


@pytest.mark.parametrize("weights", [(1.0,), (0.0, 0.0)])
def test_refuses_weights_that_do_not_fit(weights: tuple) -> None:
    with pytest.raises(ConfigError, match="OneOf: weights"):
        build("OneOf", ops=(RED, GREY), weights=weights)


def test_refuses_rounds_in_the_wrong_order() -> None:
    with pytest.raises(ConfigError, match="times"):
        build("Sequential", ops=(RED,), times=(3, 1))


@pytest.mark.parametrize("name", ["OneOf", "Shuffle", "Sequential"])
def test_refuses_an_empty_list_and_names_what_is_wrong_inside(name: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        DEGRADATIONS.component(name, ops=())
    with pytest.raises(pydantic.ValidationError, match="GaussianBlur"):
        DEGRADATIONS.component(name, ops=({"type": "GausianBlur", "sigma": (1.0, 2.0)},))
