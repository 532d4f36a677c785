"""Which record is drawn when: a function of (seed, number of the draw), so that a run resumes anywhere for nothing.

Global draw g belongs to epoch g // length and takes place g % length in that epoch's order, a permutation keyed by
(seed, epoch). Rank r of W takes the draws g = r, r + W, r + 2W, ...: the stream of a run depends neither on the
number of ranks (at the same global batch) nor on the number of workers, and every draw is taken exactly once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from dmdnet.data.randomness import Stream, generator


class Draw(NamedTuple):
    """What a data set is indexed with: the number of a record, and the number of the draw in the whole run."""

    record: int
    draw: int


@lru_cache(maxsize=8)
def epoch_order(seed: int, epoch: int, length: int) -> np.ndarray:
    """Return the order of `length` records in an epoch, read-only."""
    order = generator(seed, epoch, Stream.ORDER).permutation(length)
    order.setflags(write=False)
    return order


def record_of_draw(seed: int, draw: int, length: int) -> int:
    """Return the record that the global draw takes."""
    epoch, place = divmod(draw, length)
    return int(epoch_order(seed, epoch, length)[place])


class TrainSampler(Sampler[Draw]):
    """Endless draws of one rank.

    Args:
        length: number of records.
        seed: the run's seed.
        rank, world_size: which draws are this process's.
        start_draw: number of draws that the run, all ranks together, has used up already.
    """

    def __init__(self, length: int, *, seed: int, rank: int = 0, world_size: int = 1, start_draw: int = 0) -> None:
        if length < 1:
            raise ValueError(f"a sampler needs at least one record, got {length}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} is not in 0..{world_size - 1}")
        self.length = length
        self.seed = seed
        self.world_size = world_size
        self.first = start_draw + (rank - start_draw) % world_size

    def __iter__(self) -> Iterator[Draw]:
        draw = self.first
        while True:
            yield Draw(record_of_draw(self.seed, draw, self.length), draw)
            draw += self.world_size


class TestBatches(Sampler[list[Draw]]):
    """Every record once, in order, by batches; rank r of W takes batches r, r + W, ... without padding.

    Which records share a batch does not depend on the ranks, nor on which batches are left to be done: a network's
    last bits may depend on the company that a picture has.

    Args:
        length: number of records.
        batch_size: records of a batch; the last one may be smaller.
        rank, world_size: which batches are this process's.
        only: numbers of the batches that are wanted; None: all.
    """

    __test__ = False  # not a test case, whatever pytest thinks of its name

    def __init__(
        self, length: int, batch_size: int, *, rank: int = 0, world_size: int = 1, only: Sequence[int] | None = None
    ) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} is not in 0..{world_size - 1}")
        self.batches = batches_of(length, batch_size)
        wanted = range(len(self.batches)) if only is None else only
        self.numbers = tuple(wanted[rank::world_size])

    def __iter__(self) -> Iterator[list[Draw]]:
        return ([Draw(record, record) for record in self.batches[number]] for number in self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def records(self) -> int:
        """How many records this rank's batches have."""
        return sum(len(self.batches[number]) for number in self.numbers)


def batches_of(length: int, batch_size: int) -> list[range]:
    """Return the records of every batch of a test set."""
    return [range(start, min(start + batch_size, length)) for start in range(0, length, batch_size)]
