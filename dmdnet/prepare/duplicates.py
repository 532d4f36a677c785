"""Near-duplicates: the same shot saved twice, at another size, cut otherwise, or the next picture of a burst."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dmdnet.faces.fingerprint import SAME_PICTURE, hamming
from dmdnet.prepare.record import FoundFace

_BLOCK_ENTRIES = 1 << 21
_NEAR = 0.5  # of the distance up to which faces are one person's
_FINGERPRINT_BITS = 10  # of 64
_SAME_PIXELS = 0.95  # correlation of two thumbnails
_STRANGERS = 0.85  # of the median distance of two people's faces; check-data asks for 0.75, from other draws
_DRAWS, _FEWEST = 4000, 100


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


def find_lookalikes(faces: Sequence[FoundFace], owners: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs of faces of two people that `check-data` would take for one picture if a split lay between them.

    Their fingerprints agree, and their embeddings are not as far apart as those of strangers. They need not be
    near-duplicates; that they train and test the same network is enough to be kept together.

    Args:
        owners: the person of each face.
    """
    if not faces:
        return []
    prints = np.array([face.fingerprint for face in faces], dtype=np.uint64)
    embeddings = np.stack([face.embedding for face in faces]).astype(np.float64)
    whose = np.array(owners)
    limit = _strangers(embeddings, whose)
    found = []
    step = max(_BLOCK_ENTRIES // len(prints), 1)
    for start in range(0, len(prints), step):
        bits = np.bitwise_count(prints[start : start + step, None] ^ prints[None, start:])
        ones, others = np.nonzero(bits <= SAME_PICTURE)
        ones, others = ones + start, others + start
        crossing = (ones < others) & (whose[ones] != whose[others])
        ones, others = ones[crossing], others[crossing]
        near = np.linalg.norm(embeddings[ones] - embeddings[others], axis=1) <= limit
        found += list(zip(ones[near].tolist(), others[near].tolist(), strict=True))
    return found


def _strangers(embeddings: np.ndarray, whose: np.ndarray) -> float:
    """Return the distance that two people's faces mostly exceed; infinity where too few are there to tell."""
    rng = np.random.Generator(np.random.Philox(key=[0, len(whose)]))
    ones, others = rng.integers(len(whose), size=(2, _DRAWS))
    apart = whose[ones] != whose[others]
    if np.count_nonzero(apart) < _FEWEST:
        return float("inf")
    return _STRANGERS * float(np.median(np.linalg.norm(embeddings[ones] - embeddings[others], axis=1)[apart]))


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
