"""Whether two methods differ: a paired permutation test over people, and its correction for many pairs.

If two methods are alike, whose value is called whose is chance, for all pictures of a person together. So the signs of
each person's differences are flipped at random, and the p-value is the share of all such sets in which the mean
difference over pictures is at least as far from zero as the one that was found.

Shapes: G identities (groups), P permutations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dmdnet.evaluation.statistics.bootstrap import sums_by_identity

PERMUTATIONS = 10_000
_STREAM = 1  # of the Philox key; 0 is the bootstrap's
_CHUNK = 100_000  # signs at a time: they stay in the cache of the processor
_SAME = 1e-12  # relative: sums of the same numbers in another order are as far from zero


@dataclass(frozen=True)
class PermutationTest:
    """The result: `p_value` is NaN where nobody was scored with both methods.

    `exact`: all 2^G signs were tried; otherwise `permutations` were drawn, and the set as it was found counts as one
    of them. `smallest` is the smallest p-value that so many people can give.
    """

    p_value: float
    permutations: int
    exact: bool
    n_identities: int

    @property
    def smallest(self) -> float:
        """The p-value if every sign agreed."""
        return 2.0 / 2**self.n_identities if self.exact else 1.0 / (1 + self.permutations)

    def describe(self, seed: int) -> str:
        """Return how the test was made."""
        if not self.n_identities:
            return "none: no picture is scored for both"
        how = (
            f"all {self.permutations} sign flips"
            if self.exact
            else f"{self.permutations} drawn sign flips, Philox seed {seed}"
        )
        return f"two-sided paired permutation test over {self.n_identities} identities, {how}"


def permutation_test(
    differences: Sequence[float] | np.ndarray,
    identities: Sequence[str],
    *,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> PermutationTest:
    """Test whether the mean of `differences` over pictures is zero; NaN are left out.

    Args:
        differences: first method less second, one per picture.
        identities: the person of each picture.
        seed: of the Philox generator that draws the flips.
        permutations: where all flips are no more than that, all are tried, and the p-value is exact.
    """
    sum_G, _, _ = sums_by_identity(differences, identities)
    groups = len(sum_G)
    if not groups:
        return PermutationTest(np.nan, 0, False, 0)
    exact = groups < 63 and 2**groups <= max(permutations, 2)
    found = abs(sum_G.sum()) * (1.0 - _SAME)
    chunks = _every_sign(groups) if exact else _drawn_signs(groups, seed, permutations)
    # the number of pictures is the same in every set, so that sums do for means
    as_far = sum(int((np.abs(_sums(sign_PG, sum_G)) >= found).sum()) for sign_PG in chunks)
    if exact:
        return PermutationTest(as_far / 2**groups, 2**groups, True, groups)
    return PermutationTest((1 + as_far) / (1 + permutations), permutations, False, groups)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number, Holm's step-down; NaN stay, and do not count.

    Rejecting what is at most 0.05 after it keeps the chance of any false rejection among all at 5%.
    """
    value_N = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(value_N, np.nan)
    tested = np.flatnonzero(~np.isnan(value_N))
    order = tested[np.argsort(value_N[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(value_N[order] * factors), 1.0)
    return [float(value) for value in adjusted]


def _sums(sign_PG: np.ndarray, sum_G: np.ndarray) -> np.ndarray:
    product: np.ndarray = np.einsum("pg,g->p", sign_PG, sum_G)
    return product


def _every_sign(groups: int) -> Iterator[np.ndarray]:
    number_P = np.arange(2**groups)
    rows = max(1, _CHUNK // groups)
    for start in range(0, len(number_P), rows):
        bit_PG = (number_P[start : start + rows, None] >> np.arange(groups)) & 1
        yield 1.0 - 2.0 * bit_PG


def _drawn_signs(groups: int, seed: int, permutations: int) -> Iterator[np.ndarray]:
    """A sign is a bit of the generator's bytes; each permutation begins with a new byte."""
    generator = np.random.Generator(np.random.Philox(key=[seed, _STREAM]))
    rows = max(1, _CHUNK // groups)
    width = -(-groups // 8)
    for start in range(0, permutations, rows):
        count = min(rows, permutations - start)
        drawn = np.frombuffer(generator.bytes(count * width), dtype=np.uint8).reshape(count, width)
        yield 1.0 - 2.0 * np.unpackbits(drawn, axis=1, count=groups)
