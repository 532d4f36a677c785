"""Bootstrap intervals over people."""

import itertools
import math

import numpy as np
import pytest

from dmdnet.evaluation.statistics.bootstrap import bootstrap_mean


def people(count, pictures=1):
    return [str(person) for person in range(count) for _ in range(pictures)]


def test_equal_values_have_no_spread():
    interval = bootstrap_mean([2.0] * 6, people(3, 2), seed=0)
    assert (interval.mean, interval.low, interval.high) == (2.0, 2.0, 2.0)
    assert (interval.n, interval.n_identities) == (6, 3)


def test_the_seed_decides():
    values = np.random.default_rng(0).normal(size=20).tolist()
    first, again, other = (bootstrap_mean(values, people(20), seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)


def test_the_order_of_pictures_does_not():
    values, names = [1.0, 2.0, 5.0, 9.0, 4.0], ["a", "b", "a", "c", "d"]
    reversed_ = bootstrap_mean(values[::-1], names[::-1], seed=0)
    assert reversed_ == bootstrap_mean(values, names, seed=0)


def test_width_is_that_of_the_normal_interval():
    values = np.random.default_rng(1).normal(5, 2, 400)
    interval = bootstrap_mean(values.tolist(), people(400), seed=0, resamples=4000)
    half = 1.96 * values.std() / math.sqrt(400)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.high - interval.mean == pytest.approx(half, rel=0.1)
    assert interval.mean - interval.low == pytest.approx(half, rel=0.1)


def test_more_pictures_of_the_same_people_are_not_more_certain():
    values = np.random.default_rng(2).normal(size=30)
    once = bootstrap_mean(values.tolist(), people(30), seed=0)
    ten_times = bootstrap_mean(np.repeat(values, 10).tolist(), people(30, 10), seed=0)
    assert ten_times.high - ten_times.low == pytest.approx(once.high - once.low)


def test_true_mean_is_inside_about_95_times_in_100():
    rng = np.random.default_rng(3)
    inside = 0
    for trial in range(200):
        values = (rng.normal(size=(40, 1)) + 0.3 * rng.normal(size=(40, 3))).ravel()
        interval = bootstrap_mean(values.tolist(), people(40, 3), seed=trial, resamples=400)
        inside += interval.low <= 0 <= interval.high
    assert 178 <= inside <= 199


def test_pictures_without_a_value_are_left_out():
    interval = bootstrap_mean([1.0, math.nan, 3.0], ["a", "b", "c"], seed=0)
    assert (interval.mean, interval.n, interval.n_identities) == (2.0, 2, 2)


@pytest.mark.parametrize(("values", "n"), [([], 0), ([math.nan], 0), ([4.0], 1)])
def test_fewer_than_two_people_have_no_interval(values, n):
    interval = bootstrap_mean(values, people(len(values)), seed=0)
    assert interval.n == n
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_many_people_fit_in_memory():
    interval = bootstrap_mean(np.arange(5000.0).tolist(), people(5000), seed=0, resamples=1000)
    assert interval.low < interval.mean < interval.high


def test_few_people_against_every_way_to_draw_them():
    values, names = [1.0, 2.0, 6.0, 3.0, 9.0, 10.0], ["a", "a", "b", "c", "c", "d"]
    of_person = {"a": [1.0, 2.0], "b": [6.0], "c": [3.0, 9.0], "d": [10.0]}
    means = [
        np.mean([value for person in drawn for value in of_person[person]])
        for drawn in itertools.product("abcd", repeat=4)
    ]
    interval = bootstrap_mean(values, names, seed=0, resamples=40_000)
    assert (interval.low, interval.high) == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=0.02)


def test_one_picture_each_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(6).exponential(2, 60)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    interval = bootstrap_mean(values, people(60), seed=0, resamples=20_000)
    assert (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_kept_draws_change_nothing():
    values = np.random.default_rng(7).normal(size=3000)
    kept = bootstrap_mean(values, people(3000), seed=5, resamples=2000)
    assert bootstrap_mean(values, people(3000), seed=5, resamples=2000) == kept
    drawn_in_pieces = bootstrap_mean(values, people(3000), seed=5, resamples=3000)
    assert drawn_in_pieces.low == pytest.approx(kept.low, abs=0.003)


def test_fewer_than_ten_people_are_covered_less_often_than_said():
    rng = np.random.default_rng(8)
    inside = 0
    for trial in range(300):
        interval = bootstrap_mean(rng.normal(size=5), people(5), seed=trial, resamples=300)
        inside += interval.low <= 0 <= interval.high
    assert inside < 0.9 * 300  # which is why the reports say so
