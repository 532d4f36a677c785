"""Each operation does what its name says, by numbers computed another way."""

from __future__ import annotations

from typing import get_args

import cv2
import numpy as np
import pydantic
import pytest

from dmdnet.degradations.blur import GaussianBlur
from dmdnet.degradations.jpeg import JPEGCompression, JPEGDraw
from dmdnet.degradations.kernels import SMALLEST_SIGMA, BlurDraw, gaussian_kernel
from dmdnet.degradations.noise import GaussianNoise, NoiseDraw
from dmdnet.degradations.resize import INTERPOLATION, Downsample, Mode, Resize, ResizeBack, ResizeDraw, resize
from dmdnet.degradations.webp import WebPCompression, WebPDraw
from dmdnet.errors import ConfigError, DataError
from dmdnet.ops.degrade.noise import normal_field
from dmdnet.registry import DEGRADATIONS


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def picture(size: int = 96) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)


def full_kernel(draw: BlurDraw) -> np.ndarray:
    """The whole window, straight from the formula, in float64."""
    half = draw.kernel_size // 2
    axis = np.arange(-half, half + 1)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    turn = np.array([[np.cos(draw.angle), -np.sin(draw.angle)], [np.sin(draw.angle), np.cos(draw.angle)]])
    covariance = turn @ np.diag([draw.sigma_x**2, draw.sigma_y**2]) @ turn.T
    kernel = np.exp(-0.5 * np.einsum("ni,ij,nj->n", grid, np.linalg.inv(covariance), grid))
    return (kernel / kernel.sum()).reshape(draw.kernel_size, draw.kernel_size)


class TestGaussianBlur:
    @pytest.mark.parametrize(
        "draw",
        [
            BlurDraw(41, 0.4, 0.4, 0.0),
            BlurDraw(41, 3.0, 3.0, 0.0),
            BlurDraw(41, 16.0, 16.0, 0.0),
            BlurDraw(5, 10.0, 10.0, 0.0),
            BlurDraw(41, 0.8, 1.1, 0.3),
            BlurDraw(41, 9.0, 1.0, 0.7),
            BlurDraw(41, 2.0, 7.0, -2.5),
            BlurDraw(41, 4.0, SMALLEST_SIGMA, 1.0),
        ],
    )
    def test_equals_the_full_kernel_within_a_rounding(self, draw: BlurDraw) -> None:
        image = picture()
        expected = cv2.filter2D(image.astype(np.float64), -1, full_kernel(draw))
        result = GaussianBlur(sigma=(1.0, 2.0)).apply(image, draw)
        assert np.abs(result - expected).max() <= 0.52

    def test_kernels_sum_to_one_and_turn(self) -> None:
        kernel = gaussian_kernel(BlurDraw(21, 4.0, 1.0, 0.0))
        turned = gaussian_kernel(BlurDraw(21, 4.0, 1.0, np.pi / 2))
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(turned, kernel.T, atol=1e-7)
        assert kernel[10, 14] > 10 * kernel[14, 10]  # sigma_x is along x

    def test_share_of_round_kernels(self) -> None:
        op = GaussianBlur(sigma=(1.0, 5.0), isotropic_prob=0.3)
        generator = rng()
        draws = [op.draw(generator, (64, 64)) for _ in range(2000)]
        assert np.mean([draw.sigma_x == draw.sigma_y for draw in draws]) == pytest.approx(0.3, abs=0.04)
        sigmas = np.array([draw.sigma_x for draw in draws])
        assert sigmas.min() == pytest.approx(1, abs=0.02)
        assert sigmas.max() == pytest.approx(5, abs=0.02)

    def test_a_blur_that_nobody_can_see_is_left_out(self) -> None:
        assert GaussianBlur(sigma=(0.0, 0.0)).draw(rng(), (64, 64)) is None

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"sigma": (3.0, 1.0)}, "sigma"),
            ({"sigma": (-1.0, 1.0)}, "sigma"),
            ({"sigma": (1.0, 2.0), "kernel_size": 20}, "odd"),
        ],
    )
    def test_refuses_impossible_options(self, options: dict, words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            GaussianBlur(**options)

    def test_schema_limits_the_kernel(self) -> None:
        with pytest.raises(pydantic.ValidationError):
            DEGRADATIONS.component("GaussianBlur", sigma=(1.0, 2.0), kernel_size=43)


class TestResizing:
    def test_sizes_follow_the_factor(self) -> None:
        op = Downsample(scale=(4.0, 4.0), modes=("area",))
        draw = op.draw(rng(), (512, 256))
        assert draw == ResizeDraw(128, 64, "area")
        assert op.apply(np.zeros((512, 256, 3), np.uint8), draw).shape == (128, 64, 3)
        assert ResizeBack(mode="bicubic").draw(rng(), (512, 256)) == ResizeDraw(512, 256, "bicubic")

    def test_never_below_one_pixel(self) -> None:
        assert Downsample(scale=(32.0, 32.0)).draw(rng(), (16, 16)) == ResizeDraw(1, 1, "bilinear")

    def test_factors_uniform_or_uniform_in_the_logarithm(self) -> None:
        def median(distribution: str) -> float:
            op, generator = Downsample(scale=(1.0, 16.0), distribution=distribution), rng()
            return float(np.median([4096 / op.draw(generator, (4096, 4096)).height for _ in range(2000)]))

        assert median("uniform") == pytest.approx(8.5, rel=0.07)
        assert median("log") == pytest.approx(4.0, rel=0.07)

    def test_modes_by_weight(self) -> None:
        op, generator = (
            Downsample(scale=(2.0, 2.0), modes=("nearest", "bilinear", "bicubic"), weights=(0.1, 0.4, 0.5)),
            rng(),
        )
        modes = [op.draw(generator, (64, 64)).mode for _ in range(3000)]
        for mode, share in zip(("nearest", "bilinear", "bicubic"), (0.1, 0.4, 0.5), strict=True):
            assert modes.count(mode) / 3000 == pytest.approx(share, abs=0.03)

    def test_a_mode_of_weight_zero_is_never_drawn(self) -> None:
        op, generator = Downsample(scale=(2.0, 2.0), modes=("nearest", "area"), weights=(1.0, 0.0)), rng()
        assert {op.draw(generator, (64, 64)).mode for _ in range(200)} == {"nearest"}

    @pytest.mark.parametrize("weights", [(1.0,), (0.0, 0.0)])
    def test_refuses_weights_that_do_not_fit(self, weights: tuple) -> None:
        with pytest.raises(ConfigError, match="weights"):
            Downsample(scale=(1.0, 2.0), modes=("area", "nearest"), weights=weights)

    def test_refuses_a_factor_of_zero(self) -> None:
        with pytest.raises(ConfigError, match="scale"):
            Downsample(scale=(0.0, 2.0))

    @pytest.mark.parametrize("mode", get_args(Mode))
    def test_every_mode_reduces_and_enlarges_as_opencv_does_on_floats(self, mode: str) -> None:
        image = picture(32)
        for side in (13, 70):
            result = resize(image, ResizeDraw(side, side + 1, mode))
            expected = cv2.resize(image.astype(np.float32), (side + 1, side), interpolation=INTERPOLATION[mode])
            assert result.dtype == np.float32
            np.testing.assert_array_equal(result, expected)

    def test_up_down_and_keep_by_weight(self) -> None:
        op, generator = Resize(factor=(0.25, 2.0), up_down_keep=(0.2, 0.5, 0.3)), rng()
        factors = np.array([op.draw(generator, (1000, 500)).height / 1000 for _ in range(3000)])
        assert np.mean(factors > 1) == pytest.approx(0.2, abs=0.03)
        assert np.mean(factors < 1) == pytest.approx(0.5, abs=0.03)
        assert (factors.min(), factors.max()) == pytest.approx((0.25, 2.0), abs=0.01)
        assert np.median(factors[factors < 1]) == pytest.approx(0.625, abs=0.03)

    def test_a_second_round_starts_from_the_reduced_size(self) -> None:
        op = Resize(factor=(1.0, 1.0), base=4.0, modes=("bicubic",))
        assert op.draw(rng(), (512, 256)) == ResizeDraw(128, 64, "bicubic")

    def test_a_resize_that_only_reduces_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="Downsample"):
            Resize(factor=(0.2, 0.8))


class TestGaussianNoise:
    def test_field_is_standard_normal(self) -> None:
        field = normal_field(400, 400, 3, key=7)
        assert field.dtype == np.float32
        assert field.mean() == pytest.approx(0, abs=5e-3)
        assert field.std() == pytest.approx(1, abs=5e-3)
        assert (np.abs(field) > 2).mean() == pytest.approx(0.0455, abs=2e-3)
        assert abs(np.corrcoef(field[:-1].ravel(), field[1:].ravel())[0, 1]) < 5e-3

    @pytest.mark.parametrize("sigma", [1.0, 10.0, 20.0])
    def test_strength_in_grey_levels(self, sigma: float) -> None:
        image = np.full((200, 200, 3), 128, np.uint8)
        noisy = GaussianNoise(sigma=(0.0, 20.0)).apply(image, NoiseDraw(sigma, False, 3)).astype(float)
        assert noisy.std() == pytest.approx(np.hypot(sigma, 12**-0.5), rel=0.02)  # plus the rounding
        assert noisy.mean() == pytest.approx(128, abs=0.2)
        assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.02

    def test_grey_noise_is_the_same_in_all_channels(self) -> None:
        noisy = GaussianNoise(sigma=(0.0, 20.0)).apply(np.full((32, 32, 3), 128, np.uint8), NoiseDraw(9.0, True, 3))
        assert np.ptp(noisy, axis=2).max() == 0
        assert noisy.std() > 5

    def test_ends_are_limited(self) -> None:
        image = np.zeros((64, 64, 3), np.uint8)
        noisy = GaussianNoise(sigma=(0.0, 20.0)).apply(image, NoiseDraw(20.0, False, 1))
        assert (noisy == 0).mean() > 0.45  # not wrapped around to 255
        assert noisy.max() < 120

    def test_another_key_is_other_noise(self) -> None:
        op, generator = GaussianNoise(sigma=(5.0, 5.0)), rng()
        first, second = (op.draw(generator, (8, 8)) for _ in range(2))
        assert first.key != second.key

    def test_refuses_more_than_the_scale(self) -> None:
        with pytest.raises(ConfigError, match="sigma"):
            GaussianNoise(sigma=(0.0, 300.0))


class TestJPEG:
    def test_lower_quality_is_worse_and_colours_stay(self) -> None:
        image = cv2.resize(picture(8), (96, 96), interpolation=cv2.INTER_CUBIC)
        op = JPEGCompression(quality=(1, 100))
        errors = [np.abs(op.apply(image, JPEGDraw(q)).astype(int) - image).mean() for q in (5, 30, 95)]
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] < 2.5
        red = np.zeros((32, 32, 3), np.uint8)
        red[..., 0] = 250
        assert np.abs(op.apply(red, JPEGDraw(95)).astype(int) - red).max() < 6

    def test_rounds_and_limits_what_filters_leave(self) -> None:
        op, image = JPEGCompression(quality=(1, 100)), picture(32)
        overshot = np.where(image > 250, 300.0, np.where(image < 5, -20.0, image + 0.4)).astype(np.float32)
        limited = np.where(image > 250, 255, np.where(image < 5, 0, image)).astype(np.uint8)
        np.testing.assert_array_equal(op.apply(overshot, JPEGDraw(80)), op.apply(limited, JPEGDraw(80)))

    def test_a_side_that_the_format_cannot_hold_is_a_named_error(self) -> None:
        with pytest.raises(DataError, match="66000 x 1 pixels"):
            JPEGCompression(quality=(1, 100)).apply(np.zeros((1, 66000, 3), np.uint8), JPEGDraw(80))
        with pytest.raises(DataError, match="smaller"):
            WebPCompression(quality=(1, 100)).apply(np.zeros((1, 17000, 3), np.uint8), WebPDraw(80))

    def test_quality_covers_both_ends(self) -> None:
        op, generator = JPEGCompression(quality=(60, 62)), rng()
        qualities = [op.draw(generator, (8, 8)).quality for _ in range(200)]
        assert set(qualities) == {60, 61, 62}
        assert all(type(quality) is int for quality in qualities)

    @pytest.mark.parametrize("quality", [(0, 50), (50, 101), (90, 10)])
    def test_refuses_other_qualities(self, quality: tuple) -> None:
        with pytest.raises(ConfigError, match="quality"):
            JPEGCompression(quality=quality)


class TestWebP:
    def test_lower_quality_is_worse_and_colours_stay(self) -> None:
        image = cv2.resize(picture(8), (96, 96), interpolation=cv2.INTER_CUBIC)
        op = WebPCompression(quality=(1, 100))
        errors = [np.abs(op.apply(image, WebPDraw(q)).astype(int) - image).mean() for q in (5, 40, 95)]
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] < 3
        red = np.zeros((32, 32, 3), np.uint8)
        red[..., 0] = 250
        assert np.abs(op.apply(red, WebPDraw(95)).astype(int) - red).max() < 6

    def test_quality_covers_both_ends(self) -> None:
        op, generator = WebPCompression(quality=(60, 62)), rng()
        assert {op.draw(generator, (8, 8)).quality for _ in range(200)} == {60, 61, 62}

    @pytest.mark.parametrize("quality", [(0, 50), (50, 101), (90, 10)])
    def test_refuses_other_qualities(self, quality: tuple) -> None:
        with pytest.raises(ConfigError, match="quality"):
            WebPCompression(quality=quality)
