"""The GFPGAN-style degradation the usual way, to compare with: float32 pictures in 0..1, one full kernel, numpy noise.

It is written as such pipelines commonly are, and without their slips: nothing is done in float64 but drawing the
kernel and the noise (numpy's legacy generator knows nothing else), no copy is made for nothing, and OpenCV's own
channel order is kept from beginning to end. It is slower than it could be only where the usual way is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

KERNEL_SIZE = 41


@dataclass(frozen=True)
class UsualDraw:
    """The parameters of one picture: deviations and angle of the blur, reduced (height, width), noise, quality."""

    sigma_x: float
    sigma_y: float
    angle: float
    size: tuple[int, int]
    noise_sigma: float
    quality: int


def degrade_usually(bgr: np.ndarray, draw: UsualDraw, field: np.ndarray | None = None) -> np.ndarray:
    """Return the degraded picture, uint8 BGR (H, W, 3).

    Args:
        bgr: uint8 (H, W, 3).
        draw: the parameters.
        field: standard normal numbers (*draw.size, 3) in place of numpy's own, in the picture's channel order.
    """
    image: np.ndarray = bgr.astype(np.float32) / 255.0
    image = cv2.filter2D(image, -1, gaussian_kernel(draw.sigma_x, draw.sigma_y, draw.angle))
    image = cv2.resize(image, (draw.size[1], draw.size[0]), interpolation=cv2.INTER_LINEAR)
    image = add_noise(image, draw.noise_sigma, field)
    image = through_jpeg(image, draw.quality)
    image = cv2.resize(image, (bgr.shape[1], bgr.shape[0]), interpolation=cv2.INTER_LINEAR)
    levels: np.ndarray = np.clip((image * 255.0).round(), 0, 255).astype(np.uint8)
    return levels


def gaussian_kernel(sigma_x: float, sigma_y: float, angle: float) -> np.ndarray:
    """Return the normalised 41 x 41 Gaussian with these deviations, turned by `angle` (radians)."""
    taps = np.arange(KERNEL_SIZE) - KERNEL_SIZE // 2
    x, y = np.meshgrid(taps, taps)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T)
    places = np.stack([x, y], axis=-1)
    kernel = np.exp(-0.5 * np.sum((places @ inverse) * places, axis=-1))
    return (kernel / kernel.sum()).astype(np.float32)


def add_noise(image: np.ndarray, sigma: float, field: np.ndarray | None = None) -> np.ndarray:
    """Return float32 `image` in 0..1 with normal noise of deviation `sigma` (grey levels), limited to 0..1."""
    if field is None:
        field = np.random.randn(*image.shape).astype(np.float32)
    noisy: np.ndarray = np.clip(image + field * np.float32(sigma / 255.0), 0.0, 1.0)
    return noisy


def through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Return float32 `image` in 0..1 after JPEG compression."""
    levels: np.ndarray = (image * 255.0).round().astype(np.uint8)
    data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None  # it was encoded a line above
    return decoded.astype(np.float32) / 255.0
