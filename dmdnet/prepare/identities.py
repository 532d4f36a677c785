"""Faces sorted into people by their embeddings alone.

FFHQ-Ref took the connected components of the graph of near pairs (Hsiao et al., "ReF-LDM", NeurIPS 2024). Such
components chain: one pair that looks alike joins two people for good. Here clusters merge while their faces lie near
each other on average (average linkage; the mean is taken of squared distances, which centroids give without the table
of all pairs). A merge below the threshold needs a pair below it, so the result only ever splits those components.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

_BLOCK_ENTRIES = 1 << 21  # distances in memory at once: 16 MB, and some temporaries
# two faces of one photograph are two people unless they are this near, in parts of the threshold (mirrors, collages)
_SAME_PHOTOGRAPH = 2 / 3


def group_faces(embeddings: np.ndarray, photographs: Sequence[object], threshold: float) -> np.ndarray:
    """Return the number of each face's person, (N,) int64, people numbered by their first face.

    Args:
        embeddings: (N, D), compared by Euclidean distance.
        photographs: what each face was cut from; faces of one photograph are kept apart unless they are very near.
        threshold: root of the mean squared distance up to which two clusters are one person.

    Memory grows with N, time with its square: 30,000 faces of 128 numbers took 15 seconds on one core, so 100,000 take
    about three minutes. Equal for any order of the faces, but for exact ties.
    """
    clusters = _Clusters(np.asarray(embeddings, dtype=np.float64), photographs, threshold)
    clusters.merge_all()
    return clusters.labels()


class _Clusters:
    """Clusters as size, centroid and spread; the nearest other cluster of each is kept up to date.

    Average linkage is reducible: a merged cluster is never nearer to a third than the nearer of its parts was. So all
    pairs that are each other's nearest may merge at once, a nearest neighbour that did not merge stays the nearest,
    and a cluster with none within the threshold is final.
    """

    def __init__(self, embeddings: np.ndarray, photographs: Sequence[object], threshold: float) -> None:
        count = len(embeddings)
        self.centroids = embeddings.copy()
        self.spread = np.zeros(count)  # mean squared distance of a cluster's faces to its centroid
        self.size = np.ones(count)
        self.owner = np.arange(count)
        self.active = np.ones(count, dtype=bool)
        self.nearest = np.full(count, -1)
        self.distance = np.full(count, np.inf)
        self.limit = threshold**2
        self.apart = _apart(embeddings, photographs, threshold * _SAME_PHOTOGRAPH)

    def merge_all(self) -> None:
        stale: np.ndarray = np.arange(len(self.owner))
        while len(stale):
            self._find_nearest(stale)
            self.active[self.active & (self.distance > self.limit)] = False
            merged = self._merge_pairs()
            lost = self.active & (self.nearest >= 0)
            lost[lost] = np.isin(self.nearest[lost], merged)
            lost[merged] = self.active[merged]
            stale = np.flatnonzero(lost)

    def labels(self) -> np.ndarray:
        roots: np.ndarray = np.arange(len(self.owner))
        while not np.array_equal(roots, self.owner[roots]):
            roots = self.owner[roots]
        _, first, inverse = np.unique(roots, return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        return rank[inverse.reshape(-1)]

    def _find_nearest(self, rows: np.ndarray) -> None:
        others = np.flatnonzero(self.active)
        place = np.full(len(self.owner), -1)
        place[others] = np.arange(len(others))
        points, spread = self.centroids[others], self.spread[others]
        norms = np.einsum("nd,nd->n", points, points)
        step = max(_BLOCK_ENTRIES // max(len(others), 1), 1)
        for start in range(0, len(rows), step):
            block = rows[start : start + step]
            squared = _squared(self.centroids[block], points, norms) + spread + self.spread[block, None]
            squared[np.arange(len(block)), place[block]] = np.inf
            for line, row in enumerate(block.tolist()):
                if row in self.apart:
                    banned = place[sorted(self.apart[row])]
                    squared[line, banned[banned >= 0]] = np.inf
            best = squared.argmin(axis=1)
            self.nearest[block] = others[best]
            self.distance[block] = squared[np.arange(len(block)), best]

    def _merge_pairs(self) -> np.ndarray:
        """Merge all pairs that are each other's nearest; return the clusters of these pairs."""
        rows = np.flatnonzero(self.active)
        if not len(rows):
            return rows
        one = rows[(self.nearest[self.nearest[rows]] == rows) & (rows < self.nearest[rows])]
        if not len(one):  # rounding has broken the symmetry: the nearest pair of all is one for certain
            one = rows[[int(self.distance[rows].argmin())]]
        pairs = [(int(keep), int(gone)) for keep, gone in zip(one, self.nearest[one], strict=True)]
        for keep, gone in pairs:
            self._merge(keep, gone)
        return np.array(pairs).reshape(-1)

    def _merge(self, keep: int, gone: int) -> None:
        total = self.size[keep] + self.size[gone]
        share = self.size[gone] / total
        step = self.centroids[gone] - self.centroids[keep]
        self.spread[keep] += share * (self.spread[gone] - self.spread[keep]) + share * (1 - share) * float(step @ step)
        self.centroids[keep] += share * step
        self.size[keep] = total
        self.owner[gone] = keep
        self.active[gone] = False
        foes = self.apart[keep] | self.apart.pop(gone) if gone in self.apart else None
        if foes is not None:
            self.apart[keep] = foes
            for foe in foes:
                self.apart[foe].add(keep)


def _squared(one: np.ndarray, other: np.ndarray, other_norms: np.ndarray) -> np.ndarray:
    norms = np.einsum("nd,nd->n", one, one)
    return np.maximum(norms[:, None] + other_norms - 2 * (one @ other.T), 0)


def _apart(embeddings: np.ndarray, photographs: Sequence[object], distance: float) -> defaultdict[int, set[int]]:
    """Return, for each face, the faces of its photograph that cannot be the same person."""
    together: defaultdict[object, list[int]] = defaultdict(list)
    for number, photograph in enumerate(photographs):
        together[photograph].append(number)
    apart: defaultdict[int, set[int]] = defaultdict(set)
    for numbers in together.values():
        for one in numbers if len(numbers) > 1 else ():
            for other in numbers:
                if other != one and np.linalg.norm(embeddings[one] - embeddings[other]) > distance:
                    apart[one].add(other)
    return apart
