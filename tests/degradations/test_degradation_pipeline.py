"""What holds for every degradation, and for a list of them."""

from __future__ import annotations

import dataclasses
import pickle

import cv2
import numpy as np
import pytest

from dmdnet.degradations import apply_degradation, build_degradation, degrade, draw_degradation
from dmdnet.degradations.presets import PRESETS
from dmdnet.errors import DataError
from dmdnet.registry import DEGRADATIONS

EXAMPLES = {
    "GaussianBlur": {"sigma": (0.5, 6.0)},
    "Downsample": {"scale": (1.5, 8.0)},
    "GaussianNoise": {"sigma": (1.0, 20.0)},
    "PoissonNoise": {"scale": (0.1, 3.0)},
    "SpeckleNoise": {"sigma": (0.02, 0.2)},
    "JPEGCompression": {"quality": (30, 90)},
    "ResizeBack": {},
    "GeneralizedGaussianBlur": {"sigma": (0.5, 6.0)},
    "PlateauBlur": {"sigma": (0.5, 6.0)},
    "MotionBlur": {"length": (3.0, 30.0)},
    "SincBlur": {},
    "Resize": {"factor": (0.2, 1.5)},
    "WebPCompression": {"quality": (30, 90)},
    "ColorJitter": {"brightness": (0.8, 1.2), "contrast": (0.8, 1.2), "hue": (-20.0, 20.0), "shift": 20.0},
    "Grayscale": {},
    "OneOf": {"ops": ({"type": "JPEGCompression", "quality": (30, 90)}, {"type": "MotionBlur", "length": (3.0, 9.0)})},
    "Shuffle": {"ops": ({"type": "JPEGCompression", "quality": (30, 90)}, {"type": "SincBlur"})},
    "Sequential": {"ops": ({"type": "WebPCompression", "quality": (30, 90)}, {"type": "SincBlur"}), "times": (1, 3)},
    "Preset": {"name": "gfpgan"},
}

WITHOUT_PROBABILITY = ("ResizeBack", "Preset")  # the way back is no accident


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def picture(size: int = 64, seed: int = 0) -> np.ndarray:
    low = np.random.default_rng(seed).uniform(0, 255, (8, 8, 3)).astype(np.float32)
    return np.clip(cv2.resize(low, (size, size), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def build(name: str, /, **options: object) -> tuple:
    return build_degradation([DEGRADATIONS.component(name, **options)])


def assert_plain(draw: object) -> None:
    """Nothing but plain numbers, words and tuples, in frozen dataclasses."""
    if isinstance(draw, tuple):
        for part in draw:
            assert_plain(part)
    elif dataclasses.is_dataclass(draw):
        assert type(draw).__dataclass_params__.frozen
        for field in dataclasses.fields(draw):
            assert_plain(getattr(draw, field.name))
    else:
        assert draw is None or type(draw) in (int, float, bool, str)


def test_every_registered_degradation_is_tested() -> None:
    ours = {n for n in DEGRADATIONS.names() if DEGRADATIONS.get(n).__module__.startswith("dmdnet.degradations")}
    assert ours == set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
class TestEveryDegradation:
    def test_draws_are_plain_numbers_and_repeat(self, name: str) -> None:
        (op,) = build(name, **EXAMPLES[name])
        draw = op.draw(rng(3), (64, 64))
        assert draw == op.draw(rng(3), (64, 64))
        hash(draw)
        assert pickle.loads(pickle.dumps(draw)) == draw
        assert_plain(draw)

    def test_draws_follow_from_the_generator_alone(self, name: str) -> None:
        (op,), (other,) = build(name, **EXAMPLES[name]), build(name, **EXAMPLES[name])
        op.draw(rng(1), (32, 32))  # an earlier draw
        np.random.seed(0)
        first = op.draw(rng(3), (64, 48))
        np.random.seed(1)
        assert other.draw(rng(3), (64, 48)) == first

    @pytest.mark.parametrize("kind", [np.uint8, np.float32])
    def test_applies_one_draw_always_alike_and_leaves_its_input(self, name: str, kind: type) -> None:
        (op,) = build(name, **EXAMPLES[name])
        image = picture().astype(kind)
        before = image.copy()
        draw = op.draw(rng(3), (64, 64))
        first, second = op.apply(image, draw), op.apply(image, draw)
        assert first.dtype in (np.uint8, np.float32)
        assert first.ndim == 3
        assert first.shape[2] == 3
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(image, before)

    def test_whole_numbers_are_the_same_picture_as_bytes(self, name: str) -> None:
        (op,) = build(name, **EXAMPLES[name])
        draw = op.draw(rng(3), (64, 64))
        bytes_, floats = op.apply(picture(), draw), op.apply(picture().astype(np.float32), draw)
        np.testing.assert_allclose(bytes_, floats, atol=1e-3)

    def test_bytes_come_out_of_a_pipeline(self, name: str) -> None:
        result = degrade(picture(), build(name, **EXAMPLES[name]), rng(3))
        assert result.dtype == np.uint8
        assert result.flags.c_contiguous

    def test_probability_zero_leaves_the_picture(self, name: str) -> None:
        if name in WITHOUT_PROBABILITY:
            assert "prob" not in DEGRADATIONS.schema(name).model_fields
            return
        (op,) = build(name, **EXAMPLES[name], prob=0.0)
        assert op.draw(rng(), (64, 64)) is None
        np.testing.assert_array_equal(degrade(picture(), (op,), rng()), picture())

    def test_probability_is_a_share(self, name: str) -> None:
        if name in WITHOUT_PROBABILITY:
            return
        (op,) = build(name, **EXAMPLES[name], prob=0.3)
        generator = rng()
        shares = np.mean([op.draw(generator, (64, 64)) is not None for _ in range(1000)])
        assert shares == pytest.approx(0.3, abs=0.05)

    @pytest.mark.parametrize("size", [(1, 1), (7, 5), (2, 33), (8, 8)])
    def test_works_on_any_size(self, name: str, size: tuple[int, int]) -> None:
        (op,) = build(name, **EXAMPLES[name])
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        for seed in range(4):
            result = op.apply(image, op.draw(rng(seed), size))
            if name not in ("Downsample", "Resize"):
                assert result.shape == (*size, 3)
            assert result.size > 0
            assert np.isfinite(result).all()


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize("size", [64, 100])
def test_presets_degrade_and_keep_the_size(name: str, size: int) -> None:
    ops = build("Preset", name=name)
    image = picture(size)
    degraded = degrade(image, ops, rng(5))
    assert degraded.shape == image.shape
    assert degraded.dtype == np.uint8
    assert np.abs(degraded.astype(int) - image).mean() > 0.5
    assert degrade(image, ops, rng(6)).tobytes() != degraded.tobytes()


def test_severe_preset_is_worse_than_moderate() -> None:
    image = picture(128)

    def error(name: str) -> float:
        ops = build("Preset", name=name)
        return float(np.mean([np.abs(degrade(image, ops, rng(s)).astype(int) - image).mean() for s in range(8)]))

    assert error("ffhq_ref_severe") > 1.3 * error("ffhq_ref_moderate")


def test_preset_is_its_list() -> None:
    components = [
        DEGRADATIONS.component(op["type"], **{k: v for k, v in op.items() if k != "type"}) for op in PRESETS["gfpgan"]
    ]
    image = picture()
    by_name = degrade(image, build("Preset", name="gfpgan"), rng(9))
    np.testing.assert_array_equal(degrade(image, build_degradation(components), rng(9)), by_name)


def test_skipped_operations_pass_the_picture_on() -> None:
    ops = build_degradation(
        [
            DEGRADATIONS.component("GaussianNoise", sigma=(5.0, 5.0), prob=0.0),
            DEGRADATIONS.component("JPEGCompression", quality=(50, 50)),
        ]
    )
    draws = draw_degradation(ops, rng(), (64, 64))
    assert draws[0] is None
    expected = ops[1].apply(picture(), draws[1])
    np.testing.assert_array_equal(apply_degradation(picture(), ops, draws), expected)


def test_no_operation_gives_an_equal_copy() -> None:
    image = picture()
    degraded = degrade(image, (), rng())
    np.testing.assert_array_equal(degraded, image)
    assert not np.shares_memory(degraded, image)


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8), np.zeros((0, 8, 3), np.uint8)]
)
def test_refuses_what_is_no_picture(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="uint8"):
        degrade(image, (), rng())
