"""Folders that seem to show one person twice: kept in one split, and named, since nobody else would notice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_NEAR = 0.75  # of the distance up to which two faces are one person's; two people's faces hardly lie so near on average
# of the distance that nine of ten pairs of people keep below: where everybody is alike (drawn faces), nobody is double
_OF_THE_FAR, _FAR = 0.6, 0.9
_BLOCK_ENTRIES = 1 << 21


def find_doubles(groups: Sequence[np.ndarray], same_person_distance: float) -> list[tuple[int, int, float]]:
    """Return pairs of groups of faces that are as near to each other as one person's, with their distance.

    The distance is the root of the mean squared distance of all pairs of their faces. Memory grows with the number
    of groups, time with its square.

    Args:
        groups: embeddings (N, D) of each person's faces, N > 0.
        same_person_distance: up to which two faces are one person's.
    """
    if len(groups) < 2:
        return []
    centres = np.stack([group.mean(axis=0) for group in groups]).astype(np.float64)
    spread = np.array([_spread(group, centre) for group, centre in zip(groups, centres, strict=True)])
    found: list[tuple[int, int, float]] = []
    far = []
    step = max(_BLOCK_ENTRIES // len(groups), 1)
    for start in range(0, len(groups), step):
        between = _distances(centres, spread, start, step)
        ones, others = np.nonzero(between <= _NEAR * same_person_distance)
        later = others > ones + start
        for one, other in zip(ones[later].tolist(), others[later].tolist(), strict=True):
            found.append((one + start, other, float(between[one, other])))
        apart = np.arange(len(groups)) != np.arange(start, start + len(between))[:, None]
        far.append(np.quantile(between[apart], _FAR))
    limit = _OF_THE_FAR * float(np.median(far))
    return [pair for pair in found if pair[2] <= limit]


def _spread(group: np.ndarray, centre: np.ndarray) -> float:
    return float(((group - centre) ** 2).sum(axis=1).mean())


def _distances(centres: np.ndarray, spread: np.ndarray, start: int, step: int) -> np.ndarray:
    block = centres[start : start + step]
    norms = (centres**2).sum(axis=1)
    squared = norms[start : start + step, None] + norms - 2 * (block @ centres.T)
    return np.asarray(np.sqrt(np.maximum(squared, 0) + spread[start : start + step, None] + spread))
