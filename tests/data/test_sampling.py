"""The order of draws: complete, repeatable, the same for every number of ranks, and open at any place."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from dmdnet.data.randomness import Stream, generator
from dmdnet.data.sampling import Draw, TestBatches, TrainSampler, epoch_order, record_of_draw


def first(count: int, length: int = 10, **options: int) -> list[Draw]:
    return list(islice(TrainSampler(length, **{"seed": 5, **options}), count))


def test_an_epoch_has_every_record_once() -> None:
    draws = first(30)
    for epoch in range(3):
        assert sorted(draw.record for draw in draws[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert [draw.draw for draw in draws] == list(range(30))


def test_epochs_and_seeds_have_their_own_order() -> None:
    draws = [draw.record for draw in first(100, length=50)]
    assert draws[:50] != draws[50:]
    assert draws[:50] != [draw.record for draw in first(50, length=50, seed=6)]


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_ranks_share_the_stream_without_loss(world_size: int) -> None:
    per_rank = [first(12, rank=rank, world_size=world_size) for rank in range(world_size)]
    together = [draw for step in zip(*per_rank, strict=True) for draw in step]
    assert together == first(12 * world_size)


@pytest.mark.parametrize("start", [0, 1, 7, 10, 23, 1_000_003])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_a_later_start_is_the_tail(start: int, world_size: int) -> None:
    for rank in range(world_size):
        resumed = first(8, rank=rank, world_size=world_size, start_draw=start)
        assert all(draw.draw % world_size == rank and draw.draw >= start for draw in resumed)
        assert resumed[0].draw < start + world_size
        assert resumed == [
            Draw(record_of_draw(5, draw, 10), draw) for draw in range(resumed[0].draw, 10**9, world_size)[:8]
        ]
    if start < 50:
        assert first(8, start_draw=start) == first(start + 8)[start:]


def test_one_record_is_drawn_for_ever() -> None:
    assert first(3, length=1) == [Draw(0, 0), Draw(0, 1), Draw(0, 2)]


@pytest.mark.parametrize("options", [{"rank": 2, "world_size": 2}, {"rank": -1, "world_size": 2}])
def test_refuses_impossible_ranks(options: dict) -> None:
    with pytest.raises(ValueError, match="rank"):
        TrainSampler(4, seed=0, **options)
    with pytest.raises(ValueError, match="rank"):
        TestBatches(4, 2, **options)


def test_refuses_an_empty_set() -> None:
    with pytest.raises(ValueError, match="at least one"):
        TrainSampler(0, seed=0)


@pytest.mark.parametrize(("length", "world_size"), [(10, 1), (10, 3), (2, 4)])
def test_testing_shards_by_whole_batches_without_padding(length: int, world_size: int) -> None:
    alone = [[draw.record for draw in batch] for batch in TestBatches(length, 3)]
    assert [record for batch in alone for record in batch] == list(range(length))
    shards = [TestBatches(length, 3, rank=rank, world_size=world_size) for rank in range(world_size)]
    shared = [[draw.record for draw in batch] for shard in shards for batch in shard]
    assert sorted(shared) == alone  # the same company for every record, whatever the ranks
    assert [shard.records for shard in shards] == [sum(map(len, shard)) for shard in shards]
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_testing_some_batches_keeps_their_company() -> None:
    shards = [TestBatches(10, 3, rank=rank, world_size=2, only=[1, 3]) for rank in (0, 1)]
    assert [[draw.record for draw in batch] for shard in shards for batch in shard] == [[3, 4, 5], [9]]


def test_the_kept_order_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(0, 0, 5)[0] = 3


def test_streams_are_apart() -> None:
    keys = [(seed, draw, stream) for seed in (0, 1) for draw in (0, 1) for stream in Stream]
    numbers = {generator(*key).integers(2**62) for key in keys}
    assert len(numbers) == len(keys)
    again = generator(1, 1, Stream.BOXES).random(4)
    np.testing.assert_array_equal(generator(1, 1, Stream.BOXES).random(4), again)


def test_order_of_a_seed_stays_from_version_to_version() -> None:
    assert epoch_order(0, 0, 8).tolist() == [3, 7, 4, 2, 6, 0, 5, 1]
