"""The permutation test against enumeration by hand and scipy; Holm's correction against numbers worked out by hand."""

import itertools
import math

import numpy as np
import pytest

from dmdnet.evaluation.statistics.permutation import holm, permutation_test

PEOPLE = [str(person) for person in range(40)]


def by_hand(differences, identities):
    """Every way to flip the signs of whole people, one after the other."""
    people = sorted(set(identities))
    found = abs(sum(differences))
    hits = 0
    for signs in itertools.product((1, -1), repeat=len(people)):
        sign_of = dict(zip(people, signs, strict=True))
        total = sum(sign_of[person] * value for person, value in zip(identities, differences, strict=True))
        hits += abs(total) >= found - 1e-12
    return hits / 2 ** len(people)


@pytest.mark.parametrize("seed", range(6))
def test_small_sets_are_enumerated(seed):
    rng = np.random.default_rng(seed)
    identities = [f"p{number % 7}" for number in range(17)]  # two or three pictures each
    differences = (rng.normal(0.3, 1, 17)).tolist()
    test = permutation_test(differences, identities, seed=0)
    assert test.exact
    assert test.permutations == 2**7
    assert test.p_value == by_hand(differences, identities)


def test_differences_that_tie_count_as_far():
    differences = [0.1, 0.2, -0.3, 0.3, 0.1]  # sums that floating point tells apart in the last bit
    assert permutation_test(differences, PEOPLE[:5], seed=0).p_value == by_hand(differences, PEOPLE[:5])


def test_one_picture_each_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(5).normal(0.4, 1, 10)
    theirs = stats.permutation_test(
        (values, np.zeros(10)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=2**10,
    )
    assert permutation_test(values, PEOPLE[:10], seed=0).p_value == pytest.approx(theirs.pvalue, abs=1e-15)


def test_drawn_flips_are_near_the_exact_value():
    values = np.random.default_rng(1).normal(0.5, 1, 12)
    exact = permutation_test(values, PEOPLE[:12], seed=0).p_value
    drawn = permutation_test(values, PEOPLE[:12], seed=0, permutations=4000)
    assert not drawn.exact
    assert drawn.p_value == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 4000))


def test_large_sets_are_near_the_t_test():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(2).normal(0.35, 1, 40)
    drawn = permutation_test(values, PEOPLE, seed=0)
    assert drawn.p_value == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)


def test_without_a_difference_5_in_100_are_below_5_percent():
    rng = np.random.default_rng(3)
    people = [str(number // 3) for number in range(60)]
    below = 0
    for trial in range(300):
        # each person's pictures lean one way together: pictures as units would find a difference every other time
        values = np.repeat(rng.normal(size=20), 3) + 0.2 * rng.normal(size=60)
        below += permutation_test(values, people, seed=trial, permutations=400).p_value <= 0.05
    assert 4 <= below <= 28  # 15 expected, sigma 3.8


def test_one_sided_agreement_gives_the_smallest_value():
    test = permutation_test([1.0, 2.0, 0.5, 4.0], PEOPLE[:4], seed=0)
    assert test.p_value == test.smallest == 2 / 16
    many = permutation_test([1.0] * 40, PEOPLE, seed=0, permutations=999)
    assert many.p_value == many.smallest == 1 / 1000
    assert "999 drawn" in many.describe(0)
    assert "all 16 sign flips" in test.describe(0)


def test_nothing_and_no_difference():
    assert math.isnan(permutation_test([], [], seed=0).p_value)
    assert math.isnan(permutation_test([math.nan], ["a"], seed=0).p_value)
    assert permutation_test([0.0] * 5, PEOPLE[:5], seed=0).p_value == 1.0
    assert permutation_test([3.0], ["a"], seed=0).p_value == 1.0


def test_the_seed_decides_and_the_order_does_not():
    values = np.random.default_rng(4).normal(0.2, 1, 40)
    first = permutation_test(values, PEOPLE, seed=1, permutations=500)
    assert permutation_test(values[::-1], PEOPLE[::-1], seed=1, permutations=500) == first
    assert permutation_test(values, PEOPLE, seed=2, permutations=500) != first


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    with_nan = holm([0.02, math.nan, 0.03])
    assert with_nan[0::2] == [0.04, 0.04]
    assert math.isnan(with_nan[1])


def test_holm_never_falls_with_the_raw_value():
    values = np.random.default_rng(0).uniform(0, 0.2, 30).tolist()
    pairs = sorted(zip(values, holm(values), strict=True))
    assert all(first[1] <= second[1] for first, second in itertools.pairwise(pairs))
    assert all(raw <= adjusted <= 1 for raw, adjusted in pairs)
