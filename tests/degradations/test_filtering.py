"""Every way of filtering gives what the plain 41 x 41 float filter gives, and so does the whole degradation."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from dmdnet.degradations import apply_degradation, build_degradation, draw_degradation
from dmdnet.degradations.base import to_uint8
from dmdnet.degradations.filtering import LARGEST_DIRECT_KERNEL, blur
from dmdnet.degradations.kernels import (
    BlurDraw,
    GeneralizedDraw,
    KernelDraw,
    MotionDraw,
    PlateauDraw,
    SincDraw,
    kernel_of,
)
from dmdnet.ops.degrade.noise import normal_field
from dmdnet.registry import DEGRADATIONS

PATHS: dict[str, KernelDraw] = {
    "separable": BlurDraw(41, 6.0, 6.0, 0.0),
    "separable, short": BlurDraw(41, 0.5, 0.5, 0.0),
    "direct": BlurDraw(9, 5.0, 1.0, 0.6),
    "direct, thin": BlurDraw(41, 0.8, 0.3, 0.6),
    "spectra": BlurDraw(41, 9.0, 0.4, 0.6),
    "spectra, 11 taps": BlurDraw(11, 9.0, 4.0, 0.6),
    "spectra, generalised": GeneralizedDraw(41, 5.0, 5.0, 0.0, 0.5),
    "spectra, plateau": PlateauDraw(41, 3.0, 6.0, -1.0, 2.0),
    "spectra, motion": MotionDraw(38.0, 1.1),
    "spectra, sinc": SincDraw(21, math.pi / 3),
    "direct, sinc": SincDraw(7, math.pi / 3),
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def plainly(image: np.ndarray, draw: KernelDraw) -> np.ndarray:
    """The usual way, in float64: the full window, the formula's kernel without any short cut."""
    kernel = kernel_of(draw).astype(np.float64)
    return cv2.filter2D(image.astype(np.float64), -1, np.pad(kernel, (41 - len(kernel)) // 2))


@pytest.mark.parametrize("size", [(96, 96), (63, 101), (7, 5), (1, 1), (1, 40), (300, 20)])
@pytest.mark.parametrize("path", PATHS)
def test_equals_the_plain_filter(path: str, size: tuple[int, int]) -> None:
    image = picture(*size)
    result = blur(image, PATHS[path])
    assert result.dtype == np.float32
    error = np.abs(result - plainly(image, PATHS[path]))
    assert error.mean() < 1e-3
    # a separable row leaves out taps whose weights sum to less than 1e-4
    assert error.max() < (0.02 if path.startswith("separable") else 1e-3)


def test_paths_are_what_their_names_say() -> None:
    for path, draw in PATHS.items():
        if not path.startswith("separable"):
            assert (len(kernel_of(draw)) <= LARGEST_DIRECT_KERNEL) == path.startswith("direct"), path


def test_takes_what_an_operation_before_leaves() -> None:
    image = picture(40, 50).astype(np.float32) + np.float32(0.3)
    for draw in PATHS.values():
        np.testing.assert_allclose(blur(image, draw), plainly(image, draw), atol=0.02)


def test_negative_weights_overshoot_and_are_limited_at_the_end() -> None:
    edge = np.zeros((64, 64, 3), np.uint8)
    edge[:, 32:] = 255
    ringing = blur(edge, SincDraw(21, 1.0))
    assert ringing.min() < -5
    assert ringing.max() > 260
    assert to_uint8(ringing).min() == 0
    assert to_uint8(ringing).max() == 255  # not wrapped around


def test_threads_do_not_share_their_memory() -> None:
    images = [picture(60 + 16 * (number % 3), 80) for number in range(24)]
    draw = PATHS["spectra"]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda image: blur(image, draw), images))
    for image, result in zip(images, results, strict=True):
        np.testing.assert_array_equal(result, blur(image, draw))


def test_a_blur_of_no_width_is_none() -> None:
    for draw in (BlurDraw(41, 0.0, 0.0, 0.0), BlurDraw(41, 0.1, 0.05, 1.0)):
        np.testing.assert_allclose(blur(picture(16, 16), draw), picture(16, 16), atol=0.01)


def test_rounds_halves_to_even_as_torch_does() -> None:
    levels = np.array([[[-3.0, 0.5, 1.5], [2.5, 254.5, 254.6], [255.5, 300.0, 7.49]]], np.float32)
    np.testing.assert_array_equal(to_uint8(levels), [[[0, 0, 2], [2, 254, 255], [255, 255, 7]]])


def usual_way(image: np.ndarray, draws: tuple) -> np.ndarray:
    """GFPGAN's degradation as it is usually written: float32, rounded only for JPEG and at the end."""
    blurred, down, noisy, jpeg, back = draws
    pixels = image.astype(np.float32)
    if blurred is not None:
        kernel = kernel_of(blurred)
        pixels = cv2.filter2D(pixels, -1, np.pad(kernel, (41 - len(kernel)) // 2))
    pixels = cv2.resize(pixels, (down.width, down.height), interpolation=cv2.INTER_LINEAR)
    if noisy is not None:
        pixels = pixels + noisy.sigma * normal_field(down.height, down.width, 3, noisy.key)
    rounded = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    _, data = cv2.imencode(".jpg", rounded[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, jpeg.quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32)
    resized = cv2.resize(decoded, (back.width, back.height), interpolation=cv2.INTER_LINEAR)
    return np.rint(np.clip(resized, 0, 255))


def test_a_whole_degradation_equals_the_usual_way() -> None:
    specs = (
        ("GaussianBlur", {"sigma": (0.1, 10.0)}),
        ("Downsample", {"scale": (0.8, 8.0)}),
        ("GaussianNoise", {"sigma": (0.0, 20.0)}),
        ("JPEGCompression", {"quality": (60, 100)}),
        ("ResizeBack", {}),
    )
    ops = build_degradation([DEGRADATIONS.component(name, **options) for name, options in specs])
    image = cv2.GaussianBlur(picture(256, 256), (5, 5), 1.0)
    differences = []
    for seed in range(12):
        draws = draw_degradation(ops, rng(seed), (256, 256))
        ours = apply_degradation(image, ops, draws).astype(np.float64)
        differences.append(np.abs(ours - usual_way(image, draws)).mean())
    assert np.mean(differences) < 0.05
    assert max(differences) < 0.2
