"""Noise, reproducible from a key, quick, and the same numbers on every device: Gaussian, Poisson and speckle.

All three look their numbers up with random bits that depend on the key and the place in the picture alone;
`dmdnet.ops.degrade.noise` says how well they fit the distributions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dmdnet.degradations.base import Occasional, Probability, Range, check_range, to_uint8
from dmdnet.degradations.canvas import Canvas
from dmdnet.ops.degrade import noise
from dmdnet.registry import DEGRADATIONS


@dataclass(frozen=True)
class NoiseDraw:
    """Strength (see each operation); `grey`: the same noise in all channels; `key` of the random bits."""

    sigma: float
    grey: bool
    key: int


class Noise(Occasional[NoiseDraw]):
    """Noise of a strength uniform in a range, with probability `grey_prob` the same in all channels."""

    def __init__(self, strength: Range, grey_prob: float, prob: float) -> None:
        super().__init__(prob)
        self.strength = strength
        self.grey_prob = grey_prob

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> NoiseDraw | None:
        """Return the noise's strength and key, None when it has none."""
        sigma = float(rng.uniform(*self.strength))
        grey = bool(rng.random() < self.grey_prob)
        key = int(rng.integers(2**63))
        return NoiseDraw(sigma, grey, key) if sigma > 0 else None


@DEGRADATIONS.register()
class GaussianNoise(Noise):
    """Add Gaussian noise with a standard deviation uniform in `sigma` (grey levels, 0..255).

    With probability `grey_prob` the noise is the same in all channels.
    """

    def __init__(self, *, sigma: Range, grey_prob: Probability = 0.0, prob: Probability = 1.0) -> None:
        strength = check_range("GaussianNoise: sigma", sigma, maximum=255.0)
        super().__init__(strength, grey_prob, prob)

    def apply(self, image: np.ndarray, params: NoiseDraw) -> np.ndarray:
        """Return the picture with noise, limited to 0..255."""
        field = _normal_field(image, params)
        return cv2.addWeighted(image, 1.0, field, params.sigma, 0.0, dtype=cv2.CV_8U)

    def apply_batch(self, canvas: Canvas, params_B: Sequence[NoiseDraw]) -> Canvas:
        """Return the canvas with noise."""
        return canvas.with_pixels(noise.add_gaussian(canvas.pixels_BCHW, *_by_picture(params_B)))


@DEGRADATIONS.register()
class PoissonNoise(Noise):
    """Add the noise of counting photons: its variance is `scale`^2 times the grey level, `scale` uniform.

    A scale of 1 is the noise of as many photons as there are grey levels. With probability `grey_prob` the noise is
    that of the grey picture, the same in all channels.
    """

    def __init__(self, *, scale: Range, grey_prob: Probability = 0.0, prob: Probability = 1.0) -> None:
        strength = check_range("PoissonNoise: scale", scale, maximum=16.0)
        super().__init__(strength, grey_prob, prob)

    def apply(self, image: np.ndarray, params: NoiseDraw) -> np.ndarray:
        """Return the picture with noise, limited to 0..255."""
        image = to_uint8(image)
        rates = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] if params.grey else image
        field = _in_all_channels(noise.poisson_field(rates, params.key))
        return cv2.addWeighted(image, 1.0, field, params.sigma, 0.0, dtype=cv2.CV_8U)

    def apply_batch(self, canvas: Canvas, params_B: Sequence[NoiseDraw]) -> Canvas:
        """Return the canvas with noise."""
        return canvas.with_pixels(noise.add_poisson(canvas.pixels_BCHW, *_by_picture(params_B)))


@DEGRADATIONS.register()
class SpeckleNoise(Noise):
    """Multiply every value by a normal number about 1 whose standard deviation is uniform in `sigma` (0..1).

    With probability `grey_prob` the factors are the same in all channels.
    """

    def __init__(self, *, sigma: Range, grey_prob: Probability = 0.0, prob: Probability = 1.0) -> None:
        strength = check_range("SpeckleNoise: sigma", sigma, maximum=1.0)
        super().__init__(strength, grey_prob, prob)

    def apply(self, image: np.ndarray, params: NoiseDraw) -> np.ndarray:
        """Return the picture with noise, limited to 0..255."""
        factors = _normal_field(image, params)
        factors *= np.float32(params.sigma)
        factors += np.float32(1.0)
        return cv2.multiply(image, factors, dtype=cv2.CV_8U)

    def apply_batch(self, canvas: Canvas, params_B: Sequence[NoiseDraw]) -> Canvas:
        """Return the canvas with noise."""
        return canvas.with_pixels(noise.multiply_gaussian(canvas.pixels_BCHW, *_by_picture(params_B)))


def _normal_field(image: np.ndarray, params: NoiseDraw) -> np.ndarray:
    height, width, channels = image.shape
    return _in_all_channels(noise.normal_field(height, width, 1 if params.grey else channels, params.key))


def _in_all_channels(field: np.ndarray) -> np.ndarray:
    return cv2.merge([field[..., 0]] * 3) if field.shape[-1] == 1 else field


def _by_picture(params_B: Sequence[NoiseDraw]) -> tuple[list[float], list[bool], list[int]]:
    return [p.sigma for p in params_B], [p.grey for p in params_B], [p.key for p in params_B]
