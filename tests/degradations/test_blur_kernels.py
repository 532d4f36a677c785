"""Kernels have the shapes that their formulas promise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dmdnet.degradations.blur import GaussianBlur
from dmdnet.degradations.blur_motion import MotionBlur
from dmdnet.degradations.blur_out_of_focus import GeneralizedGaussianBlur, PlateauBlur, draw_beta
from dmdnet.degradations.blur_sinc import SincBlur
from dmdnet.degradations.kernels import (
    BlurDraw,
    GeneralizedDraw,
    KernelDraw,
    MotionDraw,
    PlateauDraw,
    SincDraw,
    bessel_j1,
    kernel_of,
)
from dmdnet.errors import ConfigError

KERNELS: tuple[KernelDraw, ...] = (
    BlurDraw(41, 0.3, 0.3, 0.0),
    BlurDraw(41, 10.0, 0.1, 2.0),
    BlurDraw(7, 3.0, 8.0, 0.4),
    GeneralizedDraw(41, 4.0, 9.0, 1.0, 0.5),
    GeneralizedDraw(21, 0.2, 0.3, 1.0, 4.0),
    PlateauDraw(41, 3.0, 6.0, -1.0, 2.0),
    PlateauDraw(3, 3.0, 6.0, -1.0, 1.0),
    MotionDraw(0.5, 0.2),
    MotionDraw(17.3, 1.0),
    MotionDraw(40.0, math.pi / 4),
    MotionDraw(40.0, 0.0),
    SincDraw(7, math.pi),
    SincDraw(21, math.pi / 5),
    SincDraw(41, 0.5),
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def gain(kernel: np.ndarray, frequency: float, angle: float) -> float:
    """The filter's answer to a wave of `frequency` radians per pixel."""
    taps = np.arange(len(kernel)) - len(kernel) // 2
    phase = frequency * (math.cos(angle) * taps + math.sin(angle) * taps[:, None])
    return float(np.sum(kernel * np.cos(phase)))


@pytest.mark.parametrize("draw", KERNELS, ids=repr)
def test_every_kernel_is_small_odd_symmetric_and_sums_to_one(draw: KernelDraw) -> None:
    kernel = kernel_of(draw)
    assert kernel.dtype == np.float32
    assert kernel.shape == (len(kernel), len(kernel))
    assert len(kernel) % 2 == 1
    assert 3 <= len(kernel) <= getattr(draw, "kernel_size", 41)
    assert kernel.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-8)


def test_a_generalised_gaussian_of_shape_one_is_a_gaussian() -> None:
    gaussian = kernel_of(BlurDraw(41, 3.0, 5.0, 0.7))
    np.testing.assert_allclose(kernel_of(GeneralizedDraw(41, 3.0, 5.0, 0.7, 1.0)), gaussian, atol=1e-8)


def test_shape_makes_the_peak_sharper_or_flatter() -> None:
    def next_to_middle(beta: float) -> float:
        kernel = kernel_of(GeneralizedDraw(41, 4.0, 4.0, 0.0, beta))
        middle = len(kernel) // 2
        return float(kernel[middle, middle + 2] / kernel[middle, middle])

    assert next_to_middle(0.5) < next_to_middle(1.0) < next_to_middle(4.0)
    assert next_to_middle(4.0) > 0.99


def test_a_plateau_is_flat_inside_half_at_the_rim_and_falls_outside() -> None:
    kernel = kernel_of(PlateauDraw(41, 6.0, 6.0, 0.0, 4.0))
    row = kernel[20, 20:] / kernel[20, 20]
    assert row[:4].min() > 0.99
    assert row[6] == pytest.approx(0.5, abs=1e-5)
    assert row[12] < 0.01


@pytest.mark.parametrize(("length", "angle"), [(9.0, 0.0), (21.0, 0.6), (33.0, 2.5), (15.0, math.pi / 2)])
def test_motion_has_its_weight_evenly_on_the_line(length: float, angle: float) -> None:
    kernel = kernel_of(MotionDraw(length, angle)).astype(np.float64)
    taps = np.arange(len(kernel)) - len(kernel) // 2
    x, y = np.meshgrid(taps, taps)
    along, across = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x
    assert kernel[np.abs(across) < 1].sum() > 0.98
    # the variance of an even path, and of the linear interpolation at most a quarter more
    assert np.sum(kernel * along**2) == pytest.approx(length**2 / 12, abs=0.3)
    assert np.sum(kernel * across**2) < 0.3


def test_motion_along_a_row_is_a_row_of_equal_weights() -> None:
    kernel = kernel_of(MotionDraw(9.0, 0.0))
    middle = len(kernel) // 2
    # the ends of the path lie between two pixels
    np.testing.assert_allclose(kernel[middle] * 9, [0.125, 0.875, *(1.0,) * 7, 0.875, 0.125], atol=0.01)
    assert kernel[middle].sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("cutoff", [0.8, 1.5, 2.4])
@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 4])
def test_sinc_keeps_what_is_below_its_cutoff_and_stops_the_rest(cutoff: float, angle: float) -> None:
    kernel = kernel_of(SincDraw(41, cutoff))
    assert gain(kernel, 0.7 * cutoff, angle) == pytest.approx(1, abs=0.15)  # the window's ripple
    assert gain(kernel, min(1.3 * cutoff, math.pi), angle) == pytest.approx(0, abs=0.15)
    assert kernel.min() < -1e-4  # it rings


def test_bessel_function_has_the_values_of_tables() -> None:
    # Abramowitz and Stegun, table 9.1
    x = np.array([0.0, 0.5, 1.0, 5.0, 10.0, 17.5])
    expected = [0.0, 0.2422684577, 0.4400505857, -0.3275791376, 0.0434727462, -0.1634199694]
    np.testing.assert_allclose(bessel_j1(x), expected, atol=2e-9)


@pytest.mark.parametrize("largest", [0.0, 0.1, 3.0, 44.0, 90.0])
def test_bessel_function_takes_enough_steps_for_every_size(largest: float) -> None:
    x = np.linspace(0.0, largest, 50)
    t = (np.arange(4096) + 0.5) * np.pi / 4096
    np.testing.assert_allclose(bessel_j1(x), np.cos(t - x[:, None] * np.sin(t)).mean(1), atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (GaussianBlur, {"sigma": (1.0, 1e300)}),
        (GeneralizedGaussianBlur, {"sigma": (1.0, 2000.0)}),
        (GeneralizedGaussianBlur, {"sigma": (1.0, 2.0), "beta": (1.0, 1000.0)}),
        (PlateauBlur, {"sigma": (1.0, 2.0), "beta": (50.0, 90.0)}),
    ],
)
def test_numbers_that_no_kernel_can_hold_are_refused(kind: Any, options: dict) -> None:
    with pytest.raises(ConfigError, match="is not a range"):
        kind(**options)


@pytest.mark.filterwarnings("error")
def test_the_extremes_make_kernels() -> None:
    for sigma_x, sigma_y in ((0.0, 0.2), (0.2, 1000.0), (1000.0, 1000.0)):
        for draw in (
            BlurDraw(41, sigma_x, sigma_y, 0.3),
            GeneralizedDraw(41, sigma_x, sigma_y, 0.3, 50.0),
            PlateauDraw(41, sigma_x, sigma_y, 0.3, 50.0),
        ):
            assert kernel_of(draw).sum() == pytest.approx(1, abs=1e-5)


def test_drawn_numbers_fill_their_ranges() -> None:
    generator = rng()
    shapes = GeneralizedGaussianBlur(sigma=(1.0, 3.0), beta=(0.5, 4.0), kernel_size=(7, 21), isotropic_prob=0.0)
    draws = [shapes.draw(generator, (64, 64)) for _ in range(2000)]
    assert {draw.kernel_size for draw in draws} == set(range(7, 22, 2))
    assert np.mean([draw.beta < 1 for draw in draws]) == pytest.approx(0.5, abs=0.04)
    assert (min(draw.beta for draw in draws), max(draw.beta for draw in draws)) == pytest.approx((0.5, 4.0), abs=0.02)
    motions = [MotionBlur(length=(3.0, 30.0), angle=(0.0, 90.0)).draw(generator, (64, 64)) for _ in range(500)]
    assert all(3 <= motion.length <= 30 for motion in motions)
    assert max(motion.angle for motion in motions) == pytest.approx(math.pi / 2, abs=0.02)
    cutoffs = [SincBlur(cutoff=(1.0, 2.0)).draw(generator, (64, 64)).cutoff for _ in range(500)]
    assert (min(cutoffs), max(cutoffs)) == pytest.approx((1.0, 2.0), abs=0.02)


def test_shape_on_one_side_of_one_is_uniform() -> None:
    generator = rng()
    values = [draw_beta((1.0, 2.0), generator) for _ in range(2000)]
    assert np.mean(values) == pytest.approx(1.5, abs=0.03)


def test_blurs_that_nobody_can_see_are_left_out() -> None:
    assert GeneralizedGaussianBlur(sigma=(0.0, 0.1)).draw(rng(), (64, 64)) is None
    assert PlateauBlur(sigma=(0.0, 0.1)).draw(rng(), (64, 64)) is None
    assert MotionBlur(length=(0.0, 0.4)).draw(rng(), (64, 64)) is None


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: MotionBlur(length=(1.0, 41.0)), "length"),
        (lambda: SincBlur(cutoff=(0.5, 4.0)), "cutoff"),
        (lambda: PlateauBlur(sigma=(1.0, 2.0), beta=(0.0, 1.0)), "beta"),
        (lambda: GaussianBlur(sigma=(1.0, 2.0), kernel_size=(5, 8)), "8 is even"),
        (lambda: GaussianBlur(sigma=(1.0, 2.0), kernel_size=(9, 5)), "kernel_size"),
    ],
)
def test_refuses_impossible_options(build, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build()
