"""Generators of one draw: every bit of seed and draw counts."""

from __future__ import annotations

import warnings

import pytest

from dmdnet.data.randomness import Stream, generator


@pytest.mark.parametrize("large", [-1, -2, 2**63 + 1, 2**63 + 2, 2**64 - 1])
def test_seeds_and_draws_of_64_bits_are_not_rounded(large: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seeds = {generator(seed, 3, Stream.BOXES).integers(2**62) for seed in (large, large - 64, 0, 1)}
        draws = {generator(3, draw, Stream.BOXES).integers(2**62) for draw in (large, large - 64, 4, 5)}
    assert len(seeds) == len(draws) == 4


def test_small_numbers_give_the_streams_that_they_always_gave() -> None:
    assert generator(5, 7, Stream.DEGRADATION).random() == pytest.approx(0.17921397154758945, abs=0)
