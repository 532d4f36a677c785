"""The order in which a few pictures say the most."""

from __future__ import annotations

import numpy as np

from dmdnet.data.farthest_points import farthest_points, most_usual


def test_the_most_usual_first_then_the_farthest() -> None:
    points = np.array([[0.0], [1.0], [1.1], [4.0], [-3.0]])
    assert most_usual(points) == 1  # their mean is 0.62
    assert farthest_points(points, 9) == [1, 4, 3, 0, 2]
    assert farthest_points(points, 2, first=3) == [3, 4]


def test_it_is_a_permutation_and_limited() -> None:
    points = np.random.default_rng(0).normal(size=(100, 8))
    assert sorted(farthest_points(points, 100)) == list(range(100))
    assert farthest_points(points, 7) == farthest_points(points, 100)[:7]
    assert sorted(farthest_points(np.zeros((5, 2)), 5)) == [0, 1, 2, 3, 4]
    assert farthest_points(np.zeros((0, 2)), 5) == farthest_points(points, 0) == []
