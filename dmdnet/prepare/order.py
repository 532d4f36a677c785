"""In which order a target's references are taken."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from dmdnet.data.farthest_points import farthest_points, most_usual

MOST_REFERENCES = 64  # listed for one target


def reference_orders(
    embeddings: np.ndarray, left_out: Sequence[Collection[int]], limit: int = MOST_REFERENCES
) -> list[list[int]]:
    """Return, for each target, the farthest-point order of one person's pictures without those that it leaves out.

    The first is the most usual of what is left. The target has no say beyond that: at a test it is not known.

    Args:
        embeddings: of the person's pictures, (N, D).
        left_out: for each target, the numbers of the pictures that cannot be its references.
        limit: how many are ordered for each target; the others are not listed.

    An order in which nothing that is left out comes up is that of all pictures, and is worked out once: so about
    `limit` of N targets are worked out for themselves (3,000 pictures: 45 s in place of 565 s, in one run).
    """
    points = np.asarray(embeddings, dtype=np.float64)
    whole: dict[int, list[int]] = {}
    return [_order(points, set(left), limit, whole) for left in left_out]


def _order(points: np.ndarray, left_out: set[int], limit: int, whole: dict[int, list[int]]) -> list[int]:
    """Return the order of the pictures that are not left out; `whole` keeps orders of all by their first picture."""
    kept = np.delete(np.arange(len(points)), sorted(left_out))
    if not len(kept):
        return []
    place = most_usual(points[kept])
    first = int(kept[place])
    if first not in whole:
        whole[first] = farthest_points(points, limit, first)
    if left_out.isdisjoint(whole[first]):
        return whole[first]
    return [int(kept[number]) for number in farthest_points(points[kept], limit, place)]
