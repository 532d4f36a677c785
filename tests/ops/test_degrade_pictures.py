"""Filters, resizings, JPEG and colours of a batch are OpenCV's, picture by picture, whatever the sizes beside them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch

from dmdnet.ops.degrade.blur import blur
from dmdnet.ops.degrade.borders import mirrored, repeated
from dmdnet.ops.degrade.color import map_colors, means
from dmdnet.ops.degrade.jpeg import jpeg
from dmdnet.ops.degrade.jpeg_tables import COSINES
from dmdnet.ops.degrade.resize import Target, resize
from dmdnet.ops.precision import full_float32_products

MODES = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}
SIZES = [(64, 64), (61, 70), (33, 17), (8, 8), (1, 1), (2, 5), (5, 2), (3, 4), (16, 48), (100, 51), (1, 40), (37, 1)]


def picture(height: int, width: int, kind: str = "noise") -> np.ndarray:
    rng = np.random.default_rng(height * 1000 + width)
    if kind == "noise":
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    shapes = cv2.resize(rng.uniform(-60, 316, (7, 7, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(shapes + rng.normal(0, 3, shapes.shape), 0, 255).astype(np.uint8)


def canvas(pictures: list[np.ndarray], beside: float = 77.0) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """Return the pictures in the corners of one tensor, something else beside them, and their sizes."""
    height, width = (max(p.shape[axis] for p in pictures) for axis in (0, 1))
    pixels = torch.full((len(pictures), 3, height, width), beside)
    for row, image in zip(pixels, pictures, strict=True):
        row[:, : image.shape[0], : image.shape[1]] = torch.from_numpy(image).permute(2, 0, 1).float()
    return pixels, [(p.shape[0], p.shape[1]) for p in pictures]


def part(row: torch.Tensor, size: tuple[int, ...]) -> np.ndarray:
    return row[:, : size[0], : size[1]].permute(1, 2, 0).numpy()


class TestBlur:
    @pytest.mark.parametrize("side", [3, 11, 41])
    def test_is_filter2d_at_every_size(self, side: int) -> None:
        rng = np.random.default_rng(side)
        pictures = [picture(*size) for size in SIZES]
        kernels = [k / k.sum() for k in rng.random((len(SIZES), side, side), dtype=np.float32) ** 4]
        pixels, sizes = canvas(pictures)
        for row, image, kernel in zip(blur(pixels, sizes, kernels), pictures, kernels, strict=True):
            expected = cv2.filter2D(image.astype(np.float64), -1, kernel.astype(np.float64))
            np.testing.assert_allclose(part(row, image.shape), expected, atol=1e-3)

    def test_kernels_of_different_sizes_share_a_batch(self) -> None:
        pixels, sizes = canvas([picture(20, 20)] * 2)
        small, large = np.full((3, 3), 1 / 9, np.float32), np.zeros((21, 21), np.float32)
        large[9:12, 9:12] = 1 / 9
        first, second = blur(pixels, sizes, [small, large])
        torch.testing.assert_close(first, second, atol=1e-4, rtol=0)

    def test_mirrors_do_not_repeat_the_edge(self) -> None:
        np.testing.assert_array_equal(mirrored([4, 1], -3, 6), [[3, 2, 1, 0, 1, 2, 3, 2, 1], [0] * 9])
        np.testing.assert_array_equal(repeated([3], 0, 5), [[0, 1, 2, 2, 2]])


class TestResize:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("kind", ["noise", "shapes"])
    def test_is_opencvs_at_every_factor(self, mode: str, kind: str) -> None:
        jobs = [
            ((64, 64), (32, 32)),
            ((64, 64), (16, 16)),
            ((61, 70), (23, 31)),
            ((50, 40), (128, 100)),
            ((30, 31), (30, 31)),
            ((30, 31), (30, 50)),
            ((7, 5), (1, 1)),
            ((1, 1), (40, 30)),
            ((64, 64), (19, 90)),
            ((120, 120), (17, 17)),
            ((33, 33), (66, 66)),
            ((128, 128), (100, 100)),
        ]
        pictures = [picture(*size, kind) for size, _ in jobs]
        pixels, sizes = canvas(pictures)
        result = resize(pixels, sizes, [Target(*target, mode) for _, target in jobs])
        for row, image, (_, (height, width)) in zip(result, pictures, jobs, strict=True):
            expected = cv2.resize(image.astype(np.float32), (width, height), interpolation=MODES[mode])
            difference = np.abs(part(row, (height, width)) - expected)
            assert difference.max() < 0.05
            assert difference.mean() < 0.005

    def test_modes_share_a_batch_and_a_picture_of_its_size_stays(self) -> None:
        pictures = [picture(60, 60)] * 6
        pixels, sizes = canvas(pictures)
        targets = [*(Target(13, 21, mode) for mode in MODES), Target(60, 60, "area")]
        result = resize(pixels, sizes, targets)
        for row, target in zip(result[:-1], targets[:-1], strict=True):
            expected = cv2.resize(pictures[0].astype(np.float32), (21, 13), interpolation=MODES[target.mode])
            np.testing.assert_allclose(part(row, (13, 21)), expected, atol=0.05)
        torch.testing.assert_close(result[-1], pixels[-1], rtol=0, atol=0)


class TestJPEG:
    @pytest.mark.parametrize("quality", [1, 5, 10, 30, 49, 50, 75, 90, 95, 98, 100])
    @pytest.mark.parametrize("kind", ["noise", "shapes"])
    def test_is_what_opencv_writes_and_reads(self, quality: int, kind: str) -> None:
        pictures = [picture(*size, kind) for size in [*SIZES, (128, 128), (100, 150)]]
        pixels, sizes = canvas(pictures)
        for row, image in zip(jpeg(pixels, sizes, [quality] * len(pictures)), pictures, strict=True):
            difference = np.abs(part(row, image.shape) - through_file(image, quality))
            assert difference.mean() < 0.01, image.shape

    def test_a_quality_each(self) -> None:
        image = picture(40, 40)
        pixels, sizes = canvas([image] * 4)
        for row, quality in zip(jpeg(pixels, sizes, [3, 40, 70, 100]), (3, 40, 70, 100), strict=True):
            assert np.abs(part(row, image.shape) - through_file(image, quality)).mean() < 0.01

    def test_rounds_and_limits_what_comes_in(self) -> None:
        image = picture(40, 40)
        pixels, sizes = canvas([image])
        pixels += 0.4 * torch.where(pixels == 255, 100.0, 1.0)
        np.testing.assert_array_equal(jpeg(pixels, sizes, [90]), jpeg(canvas([image])[0], sizes, [90]))

    def test_the_transform_is_the_cosine_transform(self) -> None:
        u, x = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
        exact = 8192 * np.sqrt(2) * np.cos((2 * x + 1) * u * np.pi / 16)
        exact[0] = 8192
        assert np.abs(np.array(COSINES) - exact).max() < 1.5


def through_file(image: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32)


class TestColors:
    def test_means_are_those_of_each_picture_alone(self) -> None:
        pictures = [picture(*size) for size in SIZES]
        result = means(*canvas(pictures))
        for mean, image in zip(result, pictures, strict=True):
            np.testing.assert_allclose(mean, image.mean((0, 1)), rtol=1e-5)

    def test_pivot_adds_the_mean_grey(self) -> None:
        image = picture(30, 20)
        pixels, sizes = canvas([image, picture(40, 40)])
        zero = np.zeros((2, 3, 4))
        result = map_colors(pixels, sizes, zero, [1.0, 0.0], (0.25, 0.5, 0.25))
        grey = image.mean((0, 1)) @ [0.25, 0.5, 0.25]
        np.testing.assert_allclose(part(result[0], image.shape), grey, rtol=1e-5)
        assert result[1].abs().max() == 0


@pytest.fixture
def tf32() -> Iterator[None]:
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    yield
    torch.backends.cuda.matmul.fp32_precision = before


@pytest.mark.usefixtures("tf32")
def test_full_products_put_the_switches_back() -> None:
    with full_float32_products(torch.device("cpu")):
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    with torch.autocast("cpu", torch.bfloat16), full_float32_products(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.usefixtures("tf32")
def test_full_products_of_two_threads_end_with_the_last() -> None:
    first, second = (full_float32_products(torch.device("cpu")) for _ in range(2))
    with ThreadPoolExecutor(1) as other:
        first.__enter__()
        other.submit(second.__enter__).result()
        first.__exit__(None, None, None)
        assert torch.backends.cuda.matmul.fp32_precision == "ieee", "the other thread still multiplies"
        other.submit(second.__exit__, None, None, None).result()
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"
