"""Presets draw from the published ranges, keep the size, and exist wherever they are named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest

from dmdnet.degradations import Degradation, apply_degradation, build_degradation, degrade, draw_degradation
from dmdnet.degradations.blur import GaussianBlur
from dmdnet.degradations.color import Grayscale
from dmdnet.degradations.composition import OneOfDraw, ShuffleDraw
from dmdnet.degradations.jpeg import JPEGDraw
from dmdnet.degradations.kernels import BlurDraw, GeneralizedDraw, MotionDraw, PlateauDraw, SincDraw
from dmdnet.degradations.noise import NoiseDraw
from dmdnet.degradations.preset_table import KNOWN, PRESETS, PresetName
from dmdnet.degradations.resize import ResizeDraw
from dmdnet.registry import DEGRADATIONS

ROOT = Path(__file__).parents[2]
# spec/recipe.md: smallest and largest blur deviation, factor, noise, JPEG quality
RANGES = {
    "gfpgan": ((0.1, 10.0), (0.8, 8.0), (0.0, 20.0), (60, 100)),
    "codeformer": ((0.2, 10.0), (1.0, 16.0), (0.0, 15.0), (30, 100)),
    "refldm_train": ((0.0, 16.0), (1.0, 32.0), (0.0, 20.0), (30, 100)),
    "ffhq_ref_moderate": ((0.0, 8.0), (1.0, 8.0), (0.0, 15.0), (60, 100)),
    "ffhq_ref_severe": ((8.0, 16.0), (8.0, 32.0), (0.0, 20.0), (30, 100)),
}
DIGESTS = {
    "gfpgan": "bcc2754dd716ee5d",
    "codeformer": "5e7b7be2cbd8fa10",
    "dfdnet": "26d4eb2e66627c97",
    "redegnet": "0a2b9982eae94605",
    "realesrgan": "36b30ee103a4ed92",
    "refldm_train": "64a633d99ffc82b9",
    "ffhq_ref_moderate": "6b2ddaf1a1f4f029",
    "ffhq_ref_severe": "cfab4b1f706cdad6",
    "x4": "e9751c403f5e4ec8",
    "x8": "0f0f39b04c094b2b",
    "x16": "61ee06f1326277c9",
}
SIZE = 4096  # large enough for factors to be read off sizes


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def preset(name: str) -> Degradation:
    return build_degradation([DEGRADATIONS.component("Preset", name=name)])[0]


def picture(height: int, width: int) -> np.ndarray:
    low = np.random.default_rng(1).uniform(0, 255, (8, 8, 3)).astype(np.float32)
    return np.clip(cv2.resize(low, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def leaves(draw: Any) -> Iterator[Any]:
    """The draws inside compositions."""
    if isinstance(draw, tuple):
        for part in draw:
            yield from leaves(part)
    elif isinstance(draw, OneOfDraw):
        yield from leaves(draw.params)
    elif isinstance(draw, ShuffleDraw):
        yield from leaves(draw.draws)
    elif draw is not None:
        yield draw


def drawn(name: str, count: int = 400) -> list[list[Any]]:
    op, generator = preset(name), rng()
    return [list(leaves(op.draw(generator, (SIZE, SIZE)))) for _ in range(count)]


def ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def of_type(samples: list[list[Any]], kind: type) -> list[Any]:
    return [draw for sample in samples for draw in sample if isinstance(draw, kind)]


@pytest.mark.parametrize("name", RANGES)
def test_ranges_are_the_published_ones(name: str) -> None:
    samples = drawn(name)
    sigma, scale, noise, quality = RANGES[name]
    blurs = of_type(samples, BlurDraw)
    tolerance = 0.05 * sigma[1]
    assert ends([blur.sigma_x for blur in blurs]) == pytest.approx(sigma, abs=max(0.25, tolerance))
    assert sigma[0] <= min(blur.sigma_x for blur in blurs)
    assert {blur.kernel_size for blur in blurs} == {41}
    assert np.mean([blur.sigma_x == blur.sigma_y for blur in blurs]) == pytest.approx(0.5, abs=0.08)
    factors = [SIZE / resize.height for resize in of_type(samples, ResizeDraw) if resize.height != SIZE]
    assert ends(factors) == pytest.approx(scale, abs=0.02 * scale[1])
    assert min(factors) > 0.99 * scale[0]
    assert ends([draw.sigma for draw in of_type(samples, NoiseDraw)]) == pytest.approx(noise, abs=0.4)
    assert ends([draw.quality for draw in of_type(samples, JPEGDraw)]) == quality


def test_gfpgan_shifts_colours_and_takes_them_away_after_the_way_back() -> None:
    op = preset("gfpgan")
    assert [type(part).__name__ for part in op.ops[-3:]] == ["ResizeBack", "ColorJitter", "Grayscale"]
    *_, jitter, grey = op.ops
    assert (jitter.shift, jitter.prob) == (20.0, 0.3)
    assert isinstance(grey, Grayscale)
    assert grey.prob == 0.01


def test_dfdnet_ranges_and_shares() -> None:
    samples = drawn("dfdnet", 1500)
    blurs, motions = of_type(samples, BlurDraw), of_type(samples, MotionDraw)
    assert (len(blurs) + len(motions)) / 1500 == pytest.approx(0.9, abs=0.05)  # the smallest blurs are left out
    assert len(motions) / (len(blurs) + len(motions)) == pytest.approx(0.35, abs=0.04)
    assert {blur.kernel_size for blur in blurs} == set(range(3, 36, 2))
    assert ends([blur.sigma_x for blur in blurs]) == pytest.approx((0.3, 2.0), abs=0.02)
    assert all(blur.sigma_x == blur.sigma_y for blur in blurs)
    downs = [resize for resize in of_type(samples, ResizeDraw) if resize.height != SIZE]
    assert len(downs) / 1500 == pytest.approx(0.95, abs=0.02)
    assert ends([SIZE / down.height for down in downs]) == pytest.approx((2, 10), rel=0.02)
    assert {down.mode for down in downs} == {"bicubic"}
    assert len(of_type(samples, NoiseDraw)) / 1500 == pytest.approx(0.9, abs=0.03)
    assert ends([draw.sigma for draw in of_type(samples, NoiseDraw)]) == pytest.approx((1, 10), abs=0.1)
    assert len(of_type(samples, JPEGDraw)) / 1500 == pytest.approx(0.6, abs=0.05)
    assert ends([draw.quality for draw in of_type(samples, JPEGDraw)]) == (40, 80)


def test_redegnet_ranges_and_shares() -> None:
    samples = drawn("redegnet", 1500)
    blurs = of_type(samples, BlurDraw)
    long = [blur for blur in blurs if blur.sigma_x != blur.sigma_y]
    short = [blur for blur in blurs if blur.sigma_x == blur.sigma_y]
    assert ends([blur.sigma_x for blur in short]) == pytest.approx((0.2, 2.8), abs=0.03)  # below 0.2: left out
    assert ends([blur.sigma_x for blur in long]) == pytest.approx((0.5, 8.0), abs=0.06)
    assert {blur.kernel_size for blur in blurs} == set(range(5, 18, 2))
    downs = [resize for resize in of_type(samples, ResizeDraw) if resize.height != SIZE]
    assert ends([SIZE / down.height for down in downs]) == pytest.approx((2, 6), rel=0.02)
    for mode, share in (("nearest", 0.1), ("bilinear", 0.4), ("bicubic", 0.5)):
        assert np.mean([down.mode == mode for down in downs]) == pytest.approx(share, abs=0.04)
    assert ends([draw.sigma for draw in of_type(samples, NoiseDraw)]) == pytest.approx((1, 19), abs=0.1)
    assert len(of_type(samples, JPEGDraw)) / 1500 == pytest.approx(0.7 + 0.5, abs=0.05)
    assert ends([draw.quality for draw in of_type(samples, JPEGDraw)]) == (30, 85)
    orders = {draw.order for draw in (preset("redegnet").draw(rng(seed), (64, 64))[0] for seed in range(200))}
    assert len(orders) == 24


def test_realesrgan_is_of_second_order_with_all_families() -> None:
    samples = drawn("realesrgan", 1000)
    kinds = (BlurDraw, GeneralizedDraw, PlateauDraw)
    blurs = [draw for kind in kinds for draw in of_type(samples, kind)]
    assert ends([blur.sigma_x for blur in blurs]) == pytest.approx((0.2, 3.0), abs=0.02)
    assert {blur.kernel_size for blur in blurs} == set(range(7, 22, 2))
    shares = [len(of_type(samples, kind)) / len(blurs) for kind in kinds]
    assert shares == pytest.approx([0.70, 0.15, 0.15], abs=0.03)
    # 0.1 of each blur, and 0.8 of the pictures at the end
    assert len(of_type(samples, SincDraw)) / 1000 == pytest.approx(0.1 + 0.08 + 0.8, abs=0.05)
    # the ringing at the end keeps at least a third of the frequencies, whatever its window
    last = [sample[-3] for sample in samples if isinstance(sample[-3], SincDraw)]
    assert {draw.kernel_size for draw in last} == set(range(7, 22, 2))
    assert ends([draw.cutoff for draw in last]) == pytest.approx((np.pi / 3, np.pi), abs=0.03)
    assert all(len(of_type([sample], JPEGDraw)) == 2 for sample in samples)
    assert all(len(of_type([sample], NoiseDraw)) == 2 for sample in samples)
    # up, down or kept; up, down or kept about a quarter; a quarter; back
    sizes = np.array([[draw.height / SIZE for draw in of_type([sample], ResizeDraw)] for sample in samples])
    assert np.mean(sizes[:, 0] > 1) == pytest.approx(0.2, abs=0.04)
    assert np.mean(sizes[:, 0] < 1) == pytest.approx(0.7, abs=0.04)
    assert ends(sizes[:, 0].tolist()) == pytest.approx((0.15, 1.5), abs=0.02)
    assert np.mean(sizes[:, 1] > 0.25) == pytest.approx(0.3, abs=0.04)
    assert ends(sizes[:, 1].tolist()) == pytest.approx((0.3 / 4, 1.2 / 4), abs=0.01)
    assert set(sizes[:, 2]) == {0.25}
    assert set(sizes[:, 3]) == {1.0}


def test_fixed_factors_differ_in_the_factor_alone() -> None:
    for factor in (4, 8, 16):
        samples = drawn(f"x{factor}", 50)
        assert {SIZE / draw.height for draw in of_type(samples, ResizeDraw)} == {1.0, float(factor)}
        rest = [op for op in PRESETS[f"x{factor}"] if op["type"] in ("GaussianNoise", "JPEGCompression")]
        assert rest == [op for op in PRESETS["x4"] if op["type"] in ("GaussianNoise", "JPEGCompression")]


def test_a_larger_factor_is_worse() -> None:
    image = picture(128, 128)
    image[::4] //= 2

    def error(name: str) -> float:
        return float(
            np.mean([np.abs(degrade(image, (preset(name),), rng(s)).astype(int) - image).mean() for s in (1, 2)])
        )

    assert error("x4") < error("x8") < error("x16")


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (80, 33)])
def test_every_preset_keeps_every_size(name: str, size: tuple[int, int]) -> None:
    op, image = preset(name), picture(*size)
    for seed in range(6):
        draws = draw_degradation((op,), rng(seed), size)
        first, second = (apply_degradation(image, (op,), draws) for _ in range(2))
        assert first.shape == (*size, 3)
        np.testing.assert_array_equal(first, second)


def test_every_preset_says_how_it_is_known() -> None:
    assert set(get_args(PresetName)) == set(PRESETS) == set(KNOWN)
    assert all(text[0] in "A3D" for text in KNOWN.values())


def test_every_preset_named_in_documents_and_recipes_exists() -> None:
    files = [
        ROOT / "README.md",
        ROOT / "datasets/README.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("options/**/*.yml"),
    ]
    named = {
        (name, file.name)
        for file in files
        for name in re.findall(r"(?:type:\s*Preset,\s*name:|--preset)\s*([\w.]+)", file.read_text(encoding="utf-8"))
    }
    assert named
    assert [(name, file) for name, file in named if name not in PRESETS] == []


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_draws_of_a_seed_stay_from_version_to_version(name: str) -> None:
    draws = [draw_degradation((preset(name),), rng(1234 + sample), (512, 512)) for sample in range(8)]
    assert hashlib.sha256(repr(draws).encode()).hexdigest()[:16] == DIGESTS[name]


def test_draws_do_not_look_at_global_randomness() -> None:
    for name in PRESETS:
        op = preset(name)
        np.random.seed(0)
        first = op.draw(rng(7), (64, 48))
        np.random.seed(1)
        assert op.draw(rng(7), (64, 48)) == first


def test_the_blur_of_the_options_keeps_its_keywords() -> None:
    assert GaussianBlur(sigma=(0.5, 2.0), kernel_size=13, isotropic_prob=1.0).draw(rng(), (64, 64)).kernel_size == 13
