"""How sure a mean is: bootstrap intervals over people, not pictures.

Pictures of one person are alike, so resampling pictures would call differences certain that are not. Resampled are
identities (a cluster bootstrap); within a chosen identity all its pictures count.

Shapes: N pictures, G identities (groups), R resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
FEW_IDENTITIES = 10  # below, percentile intervals cover clearly less than they say
_CHUNK = 4_000_000  # drawn indices at a time: 32 MB


@dataclass(frozen=True)
class Interval:
    """A mean over pictures with its percentile bootstrap interval over identities.

    `low` and `high` are NaN for fewer than two identities; with fewer than about ten the interval is too narrow.
    """

    mean: float
    low: float
    high: float
    n: int
    n_identities: int


def bootstrap_mean(
    values: Sequence[float] | np.ndarray,
    identities: Sequence[str],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """Return the mean of `values` and its interval; values that are NaN are left out.

    Args:
        values: one per picture.
        identities: the person of each picture.
        seed: of the Philox generator that draws the identities; equal seeds give equal intervals.
        resamples: how many times; 0 for no interval.
    """
    sum_G, count_G, mean = sums_by_identity(values, identities)
    n, groups = int(count_G.sum()), len(count_G)
    if groups < 2 or not resamples:
        return Interval(mean, np.nan, np.nan, n, groups)
    chunks = _drawn_counts(groups, seed, resamples)
    means = np.concatenate([_weighted(times_RG, sum_G) / _weighted(times_RG, count_G) for times_RG in chunks])
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, (tail, 1.0 - tail))
    return Interval(mean, float(low), float(high), n, groups)


def sums_by_identity(
    values: Sequence[float] | np.ndarray, identities: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return per identity, sorted by name, the sum and the number of its values that are not NaN; and their mean.

    Identities without a value are left out. The mean over pictures is NaN where there is none.
    """
    value_N = np.asarray(values, dtype=np.float64)
    scored_N = ~np.isnan(value_N)
    value_N = value_N[scored_N]
    if value_N.size == 0:
        return np.zeros(0), np.zeros(0), np.nan
    people = [person for person, scored in zip(identities, scored_N.tolist(), strict=True) if scored]
    order = {person: index for index, person in enumerate(sorted(set(people)))}
    group_N = np.array([order[person] for person in people])
    sum_G = np.bincount(group_N, weights=value_N)
    return sum_G, np.bincount(group_N).astype(np.float64), float(value_N.mean())


def _weighted(times_RG: np.ndarray, value_G: np.ndarray) -> np.ndarray:
    # not a BLAS product, whose last bits depend on the number of threads
    product: np.ndarray = np.einsum("rg,g->r", times_RG, value_G)
    return product


def _drawn_counts(groups: int, seed: int, resamples: int) -> Iterator[np.ndarray] | tuple[np.ndarray, ...]:
    """Return how often each identity is drawn in each resample, float64 (R, G) in chunks."""
    if groups * resamples <= 2 * _CHUNK:
        return _kept_counts(groups, seed, resamples)
    return _draw_counts(groups, seed, resamples)


@lru_cache(maxsize=2)
def _kept_counts(groups: int, seed: int, resamples: int) -> tuple[np.ndarray, ...]:
    """Draw once for all methods and metrics of a set: the draws do not depend on the values."""
    return tuple(_draw_counts(groups, seed, resamples))


def _draw_counts(groups: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    generator = np.random.Generator(np.random.Philox(key=[seed, 0]))
    rows = max(1, _CHUNK // groups)
    for start in range(0, resamples, rows):
        drawn_RG = generator.integers(0, groups, (min(rows, resamples - start), groups))
        drawn_RG += np.arange(len(drawn_RG))[:, None] * groups
        yield np.bincount(drawn_RG.ravel(), minlength=drawn_RG.size).reshape(drawn_RG.shape).astype(np.float64)
