"""Copies of one picture in two sets: other files of the same shot, found by what they look like."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dmdnet.data.parts import Check, Part, known_values, not_compared, place_of
from dmdnet.faces.fingerprint import SAME_PICTURE

_BLOCK = 1 << 22  # pairs compared at a time: 32 MB
_DRAWS = 1000  # pairs of different people from which the usual distance of strangers is taken
_FEWEST = 20
_NEAR = 0.75  # of that distance; two files of one picture are much nearer


def near_duplicates(train: Part, judge: Part, most_pairs: int | None = None) -> Check:
    """Compare the fingerprints of two parts, all with all: a minute for 10^6 with 10^4.

    Fingerprints that differ in at most `SAME_PICTURE` bits are a finding, unless both pictures have embeddings that
    compare and lie about as far apart as those of strangers.

    Args:
        most_pairs: leave the check out where there are more pairs to compare.
    """
    what = "share no near-duplicate"
    lack = "has no fingerprints; `python -m dmdnet prepare` makes them"
    if reason := not_compared(train, judge, "fingerprint", lack):
        return Check(what, left_out=reason)
    (prints, rows), (judged, judged_rows) = known_values(train, "fingerprint"), known_values(judge, "fingerprint")
    if most_pairs is not None and len(prints) * len(judged) > most_pairs:
        return Check(
            what, left_out="too many to compare when a run begins; `python -m dmdnet check-data` compares them"
        )
    limit = _strangers(train, judge)
    findings = []
    for ours, theirs, bits in _near_pairs(prints, judged):
        one, other = int(rows[ours]), int(judged_rows[theirs])
        if limit is None or _distance(train, one, judge, other) <= limit:
            findings.append(f"{place_of(judge, other)} looks like {place_of(train, one)} ({bits} of 64 bits differ)")
    return Check(what, len(judged), tuple(findings))


def _near_pairs(prints: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int, int]]:
    step = max(1, _BLOCK // max(1, len(prints)))
    for start in range(0, len(others), step):
        bits = np.bitwise_count(prints[:, None] ^ others[None, start : start + step])
        for ours, theirs in np.argwhere(bits <= SAME_PICTURE).tolist():
            yield ours, start + theirs, int(bits[ours, theirs])


def _strangers(train: Part, judge: Part) -> float | None:
    """Return the distance of embeddings from which on two pictures show different people; None where unknown.

    It is a share of the median distance of different people in the two tables, so that it needs no word about how
    the embeddings were made; they compare when they have one length.
    """
    columns = [part.selection.manifest.arrays.get("embedding") for part in (train, judge)]
    if columns[0] is None or columns[1] is None or columns[0].shape[1] != columns[1].shape[1]:
        return None
    rng = np.random.Generator(np.random.Philox(key=[0, 0]))
    ours, theirs = (rng.choice(part.selection.used(), _DRAWS) for part in (train, judge))
    strangers = [
        train.selection.manifest.identity_of(one) != judge.selection.manifest.identity_of(other)
        for one, other in zip(ours.tolist(), theirs.tolist(), strict=True)
    ]
    difference = columns[0][ours].astype(np.float32) - columns[1][theirs].astype(np.float32)
    distances = np.sqrt((difference**2).sum(axis=1))[np.array(strangers)]
    distances = distances[~np.isnan(distances)]
    return _NEAR * float(np.median(distances)) if len(distances) >= _FEWEST else None


def _distance(train: Part, one: int, judge: Part, other: int) -> float:
    """Return the distance of two embeddings, 0 where one is unknown."""
    points = [
        part.selection.manifest.arrays["embedding"][row].astype(np.float32)
        for part, row in ((train, one), (judge, other))
    ]
    return float(np.nan_to_num(np.linalg.norm(points[0] - points[1])))
