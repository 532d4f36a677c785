"""Farthest-point sampling (Gonzalez 1985): the first k of the order say as much as k can."""

from __future__ import annotations

import numpy as np


def most_usual(points: np.ndarray) -> int:
    """Return the number of the point (N, D), N > 0, that is nearest to their mean; among equals the first."""
    return int(_distances(points, points.mean(axis=0)).argmin())


def farthest_points(points: np.ndarray, limit: int, first: int | None = None) -> list[int]:
    """Return the numbers of at most `limit` points, each one the farthest from those before it.

    FFHQ-Ref orders its references so (Hsiao et al., "ReF-LDM", NeurIPS 2024), with distances of identity embeddings.

    Args:
        points: (N, D), no NaN; compared by Euclidean distance in float64. Among equals the earlier one is taken.
        limit: how many.
        first: where to begin; by default the most usual one.
    """
    points = np.asarray(points, dtype=np.float64)
    if not len(points) or limit < 1:
        return []
    taken = [most_usual(points) if first is None else first]
    nearest = np.full(len(points), np.inf)
    while len(taken) < min(len(points), limit):
        nearest = np.minimum(nearest, _distances(points, points[taken[-1]]))
        nearest[taken] = -1.0
        taken.append(int(nearest.argmax()))
    return taken


def _distances(points: np.ndarray, point: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(points - point, axis=1))
