"""How sure a mean is: bootstrap intervals over people, not pictures.

Pictures of one person are alike, so resampling pictures would call differences certain that are not. Resampled are
identities (a cluster bootstrap); within a chosen identity all its pictures count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
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
    values: Sequence[float], identities: Sequence[str], *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """Return the mean of `values` and its interval; values that are NaN are left out.

    Args:
        values: one per picture.
        identities: the person of each picture.
        seed: of the Philox generator that draws the identities; equal seeds give equal intervals.
    """
    value_N = np.asarray(values, dtype=np.float64)
    scored_N = ~np.isnan(value_N)
    value_N = value_N[scored_N]
    if value_N.size == 0:
        return Interval(np.nan, np.nan, np.nan, 0, 0)
    people = np.asarray(identities, dtype=object)[scored_N].tolist()
    order = {person: index for index, person in enumerate(sorted(set(people)))}
    group_N = np.array([order[person] for person in people])
    sum_G = np.bincount(group_N, weights=value_N)
    count_G = np.bincount(group_N)
    mean = float(value_N.mean())
    if len(order) < 2:
        return Interval(mean, np.nan, np.nan, value_N.size, len(order))
    means = _resampled_means(sum_G, count_G, seed, resamples)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, (tail, 1.0 - tail))
    return Interval(mean, float(low), float(high), value_N.size, len(order))


def _resampled_means(sum_G: np.ndarray, count_G: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    generator = np.random.Generator(np.random.Philox(key=[seed, 0]))
    groups = len(sum_G)
    rows = max(1, _CHUNK // groups)
    means = []
    for start in range(0, resamples, rows):
        drawn = generator.integers(0, groups, (min(rows, resamples - start), groups))
        means.append(sum_G[drawn].sum(axis=1) / count_G[drawn].sum(axis=1))
    return np.concatenate(means)
