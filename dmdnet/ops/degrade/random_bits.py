"""Random bits from a key and a position: the same numbers from numpy and from torch, on every device.

The word of row y and group g is the output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014) at the counter y * 2^16 + g, started at the key. It holds four 16-bit
numbers, the lowest first: places 4 g to 4 g + 3 of row y. A number so depends on its own place alone, neither on the
size of the picture nor on the canvas in which it lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dmdnet.ops.degrade.to_device import counting, to_device

_STEP = 0x9E3779B97F4A7C15
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)
_LANES = 4
_GROUP_BITS = 16
# words that are worked on at once: their 128 KB and as much beside them stay in a core's cache
_CHUNK = 1 << 14


def random_bits(height: int, length: int, key: int) -> np.ndarray:
    """Return 16 random bits for every place: uint16 (height, length); length at most 2^18."""
    groups = -(-length // _LANES)
    words = np.empty((height, groups), np.uint64)
    rows = max(1, _CHUNK // max(groups, 1))
    shifted = np.empty((rows, groups), np.uint64)
    along = np.arange(groups, dtype=np.uint64) * np.uint64(_STEP)
    down = (np.arange(height, dtype=np.uint64) << np.uint64(_GROUP_BITS)) * np.uint64(_STEP) + np.uint64(key)
    for start in range(0, height, rows):
        part = words[start : start + rows]
        np.add(down[start : start + rows, None], along, out=part)
        _scramble(part, shifted[: len(part)])
    return words.astype("<u8", copy=False).view("<u2")[:, :length]


def random_bits_of_batch(height: int, length: int, keys_B: Sequence[int], device: torch.device) -> Tensor:
    """Return 16 random bits for every place and key: int16 (B, height, length), the bits of numpy's uint16."""
    rows_H1 = counting(height, device)[:, None] << _GROUP_BITS
    counters_HG = (rows_H1 + counting(-(-length // _LANES), device)) * _signed(_STEP)
    keys_B11 = to_device(np.array(keys_B, np.uint64).view(np.int64).reshape(-1, 1, 1), device)
    words_BHG = keys_B11 + counters_HG
    for shift, factor in zip(_SHIFTS, (*_FACTORS, 1), strict=True):
        # torch shifts with the sign: the mask clears its copies
        words_BHG ^= (words_BHG >> shift) & ((1 << (64 - shift)) - 1)
        if factor != 1:
            words_BHG *= _signed(factor)
    return words_BHG.view(torch.int16)[..., :length]


def _scramble(words: np.ndarray, shifted: np.ndarray) -> None:
    for shift, factor in zip(_SHIFTS, (*_FACTORS, 1), strict=True):
        np.right_shift(words, np.uint64(shift), out=shifted)
        np.bitwise_xor(words, shifted, out=words)
        if factor != 1:
            np.multiply(words, np.uint64(factor), out=words)


def _signed(number: int) -> int:
    """Return the int64 with the bits of a uint64."""
    return number - (1 << 64) if number >= 1 << 63 else number
