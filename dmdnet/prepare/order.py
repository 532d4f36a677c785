"""In which order a target's references are taken: the first k of them say as much as k can."""

from __future__ import annotations

import numpy as np

MOST_REFERENCES = 64  # listed for one target


def farthest_point_order(embeddings: np.ndarray, limit: int = MOST_REFERENCES) -> list[int]:
    """Return the numbers of embeddings (N, D) by farthest-point sampling, at most `limit` of them.

    The first is the one nearest to their mean, the most usual picture; each next one is the farthest from those
    taken (Gonzalez 1985; FFHQ-Ref orders its references so). The target has no say: at a test it is not known.
    Among equals the earlier one is taken.
    """
    if not len(embeddings):
        return []
    points = np.asarray(embeddings, dtype=np.float64)
    taken = [int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmin())]
    nearest = np.full(len(points), np.inf)
    while len(taken) < min(len(points), limit):
        nearest = np.minimum(nearest, np.linalg.norm(points - points[taken[-1]], axis=1))
        nearest[taken] = -1.0
        taken.append(int(nearest.argmax()))
    return taken
