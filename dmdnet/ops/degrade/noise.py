"""Noise by look-up: 16 random bits choose a quantile of the distribution.

Normal: 65,536 quantiles; the moments differ from the normal ones by less than 2e-3, no value lies beyond 4.2
deviations. Poisson: the grey level is the rate, and 12 of the bits choose one of its 4,096 quantiles; the numbers are
exact counts also where the rate is small. At 8 bits neither can be told from exact noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from dmdnet.ops.degrade.random_bits import random_bits, random_bits_of_batch
from dmdnet.ops.degrade.to_device import per_picture, to_device

POISSON_BITS = 12
_UNUSED_BITS = 16 - POISSON_BITS
LEVELS = 256
# weights of red, green and blue in the luma of ITU-R BT.601, in 2^-15, as OpenCV rounds them
GREY_WEIGHTS = (9798, 19235, 3735)
_GREY_SHIFT = 15


@cache
def normal_quantiles() -> np.ndarray:
    """Return the quantiles (i + 0.5) / 65536 of the standard normal distribution, float32."""
    normal, count = NormalDist(), 1 << 16
    return np.array([normal.inv_cdf((index + 0.5) / count) for index in range(count)], dtype=np.float32)


@cache
def poisson_deviations() -> np.ndarray:
    """Return count minus rate for the rates 0..255 and the quantiles (i + 0.5) / 4096, int16, flat (rate, i)."""
    most = 400  # eight deviations above the largest rate
    counts = np.arange(most)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])
    probabilities = (np.arange(1 << POISSON_BITS) + 0.5) / (1 << POISSON_BITS)
    table = np.zeros((LEVELS, 1 << POISSON_BITS), np.int16)
    for rate in range(1, LEVELS):
        cumulative = np.cumsum(np.exp(counts * np.log(rate) - rate - log_factorial))
        table[rate] = np.searchsorted(cumulative, probabilities) - rate
    return table.reshape(-1)


def normal_field(height: int, width: int, channels: int, key: int) -> np.ndarray:
    """Return standard normal numbers, float32 (height, width, channels), the same for the same key everywhere."""
    bits = random_bits(height, width * channels, key)
    return normal_quantiles().take(bits).reshape(height, width, channels)


def poisson_field(rates: np.ndarray, key: int) -> np.ndarray:
    """Return Poisson counts minus their rates, int16; `rates` are uint8 (H, W, C)."""
    height, width, channels = rates.shape
    bits = random_bits(height, width * channels, key).reshape(rates.shape)
    places = rates.astype(np.int64)
    places <<= POISSON_BITS
    places |= bits >> np.uint16(_UNUSED_BITS)
    return poisson_deviations().take(places)


def add_gaussian(pixels_BCHW: Tensor, sigmas_B: list[float], grey_B: list[bool], keys_B: Sequence[int]) -> Tensor:
    """Return the pictures with Gaussian noise of deviation sigma (grey levels); grey: the same in all channels."""
    noise_BCHW = _normal_fields(pixels_BCHW, grey_B, keys_B)
    return _to_levels(torch.addcmul(pixels_BCHW, noise_BCHW, per_picture(sigmas_B, pixels_BCHW.device)))


def multiply_gaussian(pixels_BCHW: Tensor, sigmas_B: list[float], grey_B: list[bool], keys_B: Sequence[int]) -> Tensor:
    """Return the pictures times 1 + sigma * normal noise."""
    noise_BCHW = _normal_fields(pixels_BCHW, grey_B, keys_B) * per_picture(sigmas_B, pixels_BCHW.device)
    return _to_levels(torch.addcmul(pixels_BCHW, pixels_BCHW, noise_BCHW))


def add_poisson(pixels_BCHW: Tensor, scales_B: list[float], grey_B: list[bool], keys_B: Sequence[int]) -> Tensor:
    """Return the pictures with `scale` times the noise of Poisson counts whose rates are the grey levels."""
    device = pixels_BCHW.device
    pixels_BCHW = rates_BCHW = _to_levels(pixels_BCHW.clone())
    if any(grey_B):
        rates_BCHW = torch.where(_flags(grey_B, device), _grey(pixels_BCHW), pixels_BCHW)
    places_BCHW = rates_BCHW.long().bitwise_left_shift_(POISSON_BITS)
    places_BCHW += (_fields_of_bits(pixels_BCHW, grey_B, keys_B) >> _UNUSED_BITS) & ((1 << POISSON_BITS) - 1)
    noise_BCHW = _poisson_table(device)[places_BCHW]
    return _to_levels(torch.addcmul(pixels_BCHW, noise_BCHW, per_picture(scales_B, device)))


def _normal_fields(pixels_BCHW: Tensor, grey_B: list[bool], keys_B: Sequence[int]) -> Tensor:
    # the upper half of the 16-bit numbers is negative here, and so found from the table's end
    return _normal_table(pixels_BCHW.device)[_fields_of_bits(pixels_BCHW, grey_B, keys_B).long()]


def _fields_of_bits(pixels_BCHW: Tensor, grey_B: list[bool], keys_B: Sequence[int]) -> Tensor:
    """Return 16 bits as int16 (B, 3, H, W), where the pictures' own (height, width * channels) fields have them."""
    height, width = pixels_BCHW.shape[2:]
    device = pixels_BCHW.device
    if all(grey_B):
        return random_bits_of_batch(height, width, keys_B, device)[:, None].expand(-1, 3, -1, -1)
    bits_BHL = random_bits_of_batch(height, 3 * width, keys_B, device)
    color_BCHW = bits_BHL.unflatten(-1, (width, 3)).permute(0, 3, 1, 2)
    if not any(grey_B):
        return color_BCHW
    return torch.where(_flags(grey_B, device), bits_BHL[:, None, :, :width], color_BCHW)


def _grey(pixels_BCHW: Tensor) -> Tensor:
    """Return the luma (B, 1, H, W) as OpenCV rounds it; all products are exact in float32."""
    red, green, blue = (pixels_BCHW[:, channel] * weight for channel, weight in enumerate(GREY_WEIGHTS))
    return ((red + green + blue + (1 << (_GREY_SHIFT - 1))) / (1 << _GREY_SHIFT)).floor()[:, None]


def _to_levels(pixels: Tensor) -> Tensor:
    return pixels.round_().clamp_(0, 255)


def _flags(values: list[bool], device: torch.device) -> Tensor:
    return to_device(np.array(values).reshape(-1, 1, 1, 1), device)


@cache
def _normal_table(device: torch.device) -> Tensor:
    return to_device(normal_quantiles(), device)


@cache
def _poisson_table(device: torch.device) -> Tensor:
    return to_device(poisson_deviations().astype(np.float32), device)
