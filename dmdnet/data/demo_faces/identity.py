"""Who a drawn person is: looks, and the numbers that name the person and key the fine patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .paint import generator
from .people import sample_traits
from .traits import Traits

_STREAM = 1


@dataclass(frozen=True)
class Identity(Traits):
    """A drawn person. `seed` and `number` name it and key its fine patterns."""

    seed: int
    number: int

    @classmethod
    def sample(cls, seed: int, number: int) -> Identity:
        """Return person `number` of the world `seed`; the same two numbers give the same person everywhere."""
        traits = sample_traits(generator(seed, number, _STREAM))
        return cls(**vars(traits), seed=seed, number=number)

    def stream(self, stream: int) -> np.random.Generator:
        """Return a generator for one of this person's fine patterns."""
        return generator(self.seed, self.number, 1000 + stream)
