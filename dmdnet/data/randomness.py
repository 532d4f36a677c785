"""Every random number of the data is a function of (seed, draw, purpose): nothing is stored, nothing is global.

A draw is the number of a sample in the whole run, counted over all ranks. Its generators are Philox, a
counter-based generator: key (seed, draw), and the purpose in the top word of the counter, so that two purposes of
one draw are 2^192 numbers apart and changing how one is used does not shift another.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

_WORD = (1 << 64) - 1


class Stream(IntEnum):
    """What random numbers are used for. A new purpose takes a new number; the old ones stay."""

    DEGRADATION = 0
    REFERENCES = 1
    AUGMENTATION = 2
    BOXES = 3
    MIXTURE = 4
    ORDER = 5
    REPLACEMENT = 6


def generator(seed: int, draw: int, stream: Stream) -> np.random.Generator:
    """Return the generator of one purpose of one draw."""
    # as words: numpy takes a list with a number of 64 bits for floats, and loses the last bits of it
    key = np.array([seed & _WORD, draw & _WORD], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, int(stream)]))
