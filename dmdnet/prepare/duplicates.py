"""Near-duplicates: the same shot saved twice, at another size, cut otherwise, or the next picture of a burst."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dmdnet.faces.fingerprint import hamming
from dmdnet.prepare.record import FoundFace

_BLOCK_ENTRIES = 1 << 21
_NEAR = 0.5  # of the distance up to which faces are one person's
_FINGERPRINT_BITS = 10  # of 64
_SAME_PIXELS = 0.95  # correlation of two thumbnails


@dataclass(frozen=True)
class Duplicates:
    """Which faces look alike.

    Args:
        pairs: for each face, the faces that are near-duplicates of it.
        of: for each face, the better face of which it is a near-duplicate, -1 for those that stand for themselves.
    """

    pairs: tuple[frozenset[int], ...]
    of: tuple[int, ...]


def find_duplicates(faces: Sequence[FoundFace], same_person_distance: float) -> Duplicates:
    """Return the near-duplicates among faces; the better one is sharp and large.

    Embeddings are near, fingerprints differ in few bits, and the inner faces correlate as small grey pictures.
    """
    pairs: list[set[int]] = [set() for _ in faces]
    if faces:
        embeddings = np.stack([face.embedding for face in faces]).astype(np.float64)
        thumbnails = _standardised(np.stack([face.thumbnail for face in faces]))
        for one, other in _near_pairs(embeddings, same_person_distance * _NEAR):
            alike = hamming(faces[one].fingerprint, faces[other].fingerprint) <= _FINGERPRINT_BITS
            if alike and float(thumbnails[one] @ thumbnails[other]) >= _SAME_PIXELS:
                pairs[one].add(other)
                pairs[other].add(one)
    return Duplicates(tuple(frozenset(item) for item in pairs), _better(faces, pairs))


def _better(faces: Sequence[FoundFace], pairs: Sequence[set[int]]) -> tuple[int, ...]:
    # sharpness is measured in the aligned picture, which may be smaller than the face was
    merit = [face.sharpness * math.sqrt(face.source_side) for face in faces]
    rank = sorted(range(len(faces)), key=lambda number: (-merit[number], number))
    place = {number: position for position, number in enumerate(rank)}
    of = [-1] * len(faces)
    for number in rank:
        better = [other for other in pairs[number] if place[other] < place[number] and of[other] < 0]
        if better:
            of[number] = min(better, key=lambda other: place[other])
    return tuple(of)


def _near_pairs(embeddings: np.ndarray, distance: float) -> Iterator[tuple[int, int]]:
    """Yield pairs (smaller number first) of embeddings nearer than `distance`; memory grows with N, time with N^2."""
    norms = np.einsum("nd,nd->n", embeddings, embeddings)
    step = max(_BLOCK_ENTRIES // len(embeddings), 1)
    for start in range(0, len(embeddings), step):
        block = embeddings[start : start + step]
        squared = norms[start : start + step, None] + norms[start:] - 2 * (block @ embeddings[start:].T)
        for one, other in np.argwhere(squared < distance**2).tolist():
            if other > one:
                yield start + one, start + other


def _standardised(thumbnails: np.ndarray) -> np.ndarray:
    """Return thumbnails (N, pixels) with mean 0 and length 1: their products are correlations."""
    values = thumbnails.astype(np.float64)
    values -= values.mean(axis=1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
