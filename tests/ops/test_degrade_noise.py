"""Noise: the same numbers from numpy and torch, and statistics that cannot be told from the true ones at 8 bits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from dmdnet.ops.degrade import noise
from dmdnet.ops.degrade.random_bits import random_bits, random_bits_of_batch

CPU = torch.device("cpu")
KEYS = (0, 1, 5, 2**62 + 12345, 2**63 - 1)


class TestRandomBits:
    @pytest.mark.parametrize(("height", "length"), [(1, 1), (3, 7), (40, 129), (200, 600)])
    def test_numpy_and_torch_agree_for_every_key(self, height: int, length: int) -> None:
        batch = random_bits_of_batch(height, length, KEYS, CPU).numpy().view(np.uint16)
        for bits, key in zip(batch, KEYS, strict=True):
            np.testing.assert_array_equal(random_bits(height, length, key), bits)

    def test_a_larger_canvas_holds_the_same_bits(self) -> None:
        np.testing.assert_array_equal(random_bits(300, 451, 9)[:20, :33], random_bits(20, 33, 9))

    def test_words_are_those_of_splitmix64(self) -> None:
        words = random_bits(1, 16, key=0).astype("<u2").view("<u8")[0]
        # its published outputs for the seed 0
        assert [hex(word) for word in words[1:]] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4", "0x6c45d188009454f"]
        np.testing.assert_array_equal(random_bits(2, 3, 42)[1], [56545, 14854, 24583])

    def test_every_value_and_every_bit_is_equally_likely(self) -> None:
        bits = random_bits(1024, 2048, 77)
        expected = bits.size / 65536
        chi_square = ((np.bincount(bits.ravel(), minlength=65536) - expected) ** 2 / expected).sum()
        assert abs(chi_square - 65535) < 5 * np.sqrt(2 * 65535)
        for bit in range(16):
            assert abs(((bits >> bit) & 1).mean() - 0.5) < 5 * 0.5 / np.sqrt(bits.size)

    @pytest.mark.parametrize("keys", [(0, 1), (1, 2), (7, 7 + 2**40), (3, 3 + 0x1E3779B97F4A7C15)])
    def test_bytes_of_two_keys_are_independent(self, keys: tuple[int, int]) -> None:
        first, second = (random_bits(512, 512, key).astype(np.int64) >> 10 for key in keys)
        table = np.bincount(((first << 6) | second).ravel(), minlength=4096)
        expected = first.size / 4096
        assert abs(((table - expected) ** 2 / expected).sum() - 4095) < 5 * np.sqrt(2 * 4095)

    @pytest.mark.parametrize(("down", "along"), [(0, 1), (0, 3), (0, 4), (1, 0), (1, 1), (2, 0)])
    def test_neighbours_are_independent(self, down: int, along: int) -> None:
        bits = random_bits(512, 1024, 5).astype(np.int64) & 63  # the low bits, where simple generators are weakest
        first, second = bits[: 512 - down, : 1024 - along], bits[down:, along:]
        table = np.bincount(((first << 6) | second).ravel(), minlength=4096)
        expected = first.size / 4096
        assert abs(((table - expected) ** 2 / expected).sum() - 4095) < 5 * np.sqrt(2 * 4095)


class TestNormal:
    def test_moments(self) -> None:
        field = noise.normal_field(1200, 1200, 3, key=11).astype(np.float64)
        count = field.size
        assert abs(field.mean()) < 5 / np.sqrt(count)
        assert abs(field.var() - 1) < 2e-4 + 5 * np.sqrt(2 / count)
        assert abs((field**3).mean()) < 5 * np.sqrt(15 / count)
        assert abs((field**4).mean() - 3) < 5e-3 + 5 * np.sqrt(96 / count)

    def test_neighbours_channels_and_keys_are_uncorrelated(self) -> None:
        first, second = (noise.normal_field(512, 512, 3, key).astype(np.float64) for key in (1, 2))
        pairs = {
            "along": (first[:, :-1], first[:, 1:]),
            "down": (first[:-1], first[1:]),
            "channels": (first[..., 0], first[..., 1]),
            "keys": (first, second),
            "squares": (first[:, :-1] ** 2, first[:, 1:] ** 2),
        }
        for name, (a, b) in pairs.items():
            assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(a.size), name

    def test_grey_and_colour_in_one_batch_are_the_fields_of_the_pictures(self) -> None:
        pixels = torch.full((3, 3, 50, 41), 128.0)
        noisy = noise.add_gaussian(pixels, [10.0, 3.0, 0.0], [False, True, True], [4, 5, 6])
        color = 128 + 10 * noise.normal_field(50, 41, 3, 4)
        grey = np.repeat(128 + 3 * noise.normal_field(50, 41, 1, 5), 3, axis=2)
        for row, expected in zip(noisy, (color, grey, np.full_like(color, 128)), strict=True):
            np.testing.assert_array_equal(row.permute(1, 2, 0).numpy(), expected.round().clip(0, 255))


class TestPoisson:
    @pytest.mark.parametrize("rate", [0, 1, 2, 5, 20, 90, 255])
    def test_moments_of_every_rate(self, rate: int) -> None:
        table = noise.poisson_deviations().reshape(256, -1)[rate].astype(np.float64)
        counts = np.random.default_rng(rate).poisson(rate, 400_000) - rate
        assert table.mean() == pytest.approx(0, abs=2e-3 * max(rate, 1) ** 0.5)
        assert table.var() == pytest.approx(rate, rel=6e-3)
        assert (table**3).mean() == pytest.approx(rate, rel=0.05)  # the third central moment is the rate again
        for quantile in (0.01, 0.1, 0.5, 0.9, 0.99):
            assert abs(np.quantile(table, quantile) - np.quantile(counts, quantile)) <= 1

    def test_counts_are_never_negative(self) -> None:
        rates = np.arange(256)[:, None]
        assert (noise.poisson_deviations().reshape(256, -1) >= -rates).all()

    @pytest.mark.parametrize(("level", "scale"), [(4, 1.0), (60, 2.0), (200, 0.5)])
    def test_variance_is_scale_squared_times_the_level(self, level: int, scale: float) -> None:
        field = noise.poisson_field(np.full((600, 600, 3), level, np.uint8), key=3).astype(np.float64)
        assert (scale * field).var() == pytest.approx(scale**2 * level, rel=0.01)
        assert field.mean() == pytest.approx(0, abs=5 * np.sqrt(level / field.size))
        assert abs(np.corrcoef(field[..., 0].ravel(), field[..., 1].ravel())[0, 1]) < 0.01

    def test_grey_rounds_as_opencv_does(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        np.testing.assert_array_equal(noise._grey(pixels)[0, 0].numpy(), cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def test_speckle_grows_with_the_signal() -> None:
    pixels = torch.tensor([20.0, 120.0]).view(2, 1, 1, 1).expand(2, 3, 300, 300)
    deviations = noise.multiply_gaussian(pixels, [0.1, 0.1], [False, False], [1, 2]).std((1, 2, 3))
    torch.testing.assert_close(deviations, torch.tensor([2.02, 12.0]), rtol=0.02, atol=0)
