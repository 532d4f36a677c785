"""Whether a training set and the sets that judge it are apart: no person, no picture, no copy of a picture in both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from dmdnet.data.check_copies import near_duplicates
from dmdnet.data.parts import Check, Part, known_values, not_compared, place_of
from dmdnet.data.references import originals
from dmdnet.data.storage.opening import LMDB_SUFFIX
from dmdnet.errors import ConfigError

SHOWN = 3  # examples in one line
_MOST_PAIRS = 500_000_000  # of fingerprints, compared when a run begins: two seconds
_COMPARED_BYTES = 20  # pairs of files with one checksum that are compared byte by byte


def check_apart(train: Mapping[str, Any], judges: Mapping[str, Any]) -> None:
    """Check that data sets that judge a network have nobody and nothing of its training sets; takes seconds.

    Compared are people, within one root, picture files and, where manifests have them, checksums and fingerprints.
    Fingerprints of very large sets are compared by `python -m dmdnet check-data` alone. No target of any set may be
    in its own list of references.

    Args:
        train, judges: data sets by what the option file calls them (`datasets.val`).

    Raises:
        ConfigError: they share somebody or something, and the judge does not allow it, or a list names its target.
    """
    for name, dataset in {**train, **judges}.items():
        for part in dataset.parts:
            if findings := wrong_lists(part).findings:
                raise ConfigError(
                    f"{name}: {_shown(findings)}. Take them out, or make the manifest of {part.origin} anew"
                )
    for train_name, train_set in train.items():
        for name, judge in judges.items():
            for one in train_set.parts:
                for other in judge.parts:
                    for check in (*compare_quickly(one, other), near_duplicates(one, other, _MOST_PAIRS)):
                        if check.findings:
                            raise ConfigError(_refusal(train_name, name, check))


def _refusal(train: str, judge: str, check: Check) -> str:
    return (
        f"{judge} has faces of {train}: {_shown(check.findings)}. Figures on faces that were trained on say nothing: "
        f"give the two different people (split, identities_file, identity_range), or set "
        f"allow_split_overlap: true in {judge}"
    )


def _shown(findings: Sequence[str]) -> str:
    more = f" and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
    return "; ".join(findings[:SHOWN]) + more


def compare_quickly(train: Part, judge: Part) -> list[Check]:
    """Return the comparisons that need no more than the tables."""
    return [shared_people(train, judge), shared_files(train, judge), shared_checksums(train, judge)]


def shared_people(train: Part, judge: Part) -> Check:
    """Compare the people of two parts of one root; elsewhere the same name may be another person."""
    what = "share no person"
    if reason := not_compared(train, judge):
        return Check(what, left_out=reason)
    if _root(train.origin) != _root(judge.origin):
        return Check(what, left_out=f"people of {train.origin} and {judge.origin} are named independently")
    judged = _people(judge)
    both = sorted(_people(train) & judged)
    return Check(what, len(judged), tuple(f"person {name}" for name in both))


def _root(origin: str) -> str:
    """Return a root without links; an LMDB beside a folder of its name was made of it (scripts/make_lmdb.py)."""
    return _real(origin).removesuffix(LMDB_SUFFIX)


def _people(part: Part) -> set[str]:
    manifest = part.selection.manifest
    return {manifest.identities[code] for code in np.unique(manifest.identity[part.selection.used()]).tolist()}


def shared_files(train: Part, judge: Part) -> Check:
    """Compare the places of picture files, through links to folders."""
    what = "share no file"
    if reason := not_compared(train, judge):
        return Check(what, left_out=reason)
    ours = set(_places(judge))
    both = [place for place in _places(train) if place in ours]
    return Check(what, len(ours), tuple(f"file {place}" for place in sorted(both)))


def _places(part: Part) -> list[str]:
    """Return where the sharp pictures of a part lie."""
    manifest = part.selection.manifest
    if "picture" not in manifest.text:
        return []
    keys, where = manifest.text["picture"], manifest.storage.where
    places = []
    for row in part.selection.used().tolist():
        if key := keys[row]:
            folder, _, name = where(key).rpartition("/")
            places.append(f"{_real(folder)}/{name}")
    return places


@lru_cache(maxsize=1 << 16)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def shared_checksums(train: Part, judge: Part) -> Check:
    """Compare the checksums of files; those that are equal are then compared byte by byte, the first few of them."""
    what = "share no copy of a file"
    if reason := not_compared(train, judge, "checksum", "has no checksums"):
        return Check(what, left_out=reason)
    (sums, rows), (judged, judged_rows) = known_values(train, "checksum"), known_values(judge, "checksum")
    _, ours, theirs = np.intersect1d(sums, judged, return_indices=True)
    findings = []
    for number, (one, other) in enumerate(zip(rows[ours].tolist(), judged_rows[theirs].tolist(), strict=True)):
        if number >= _COMPARED_BYTES or _same_bytes(train, one, judge, other):
            findings.append(f"{place_of(judge, other)} is {place_of(train, one)}")
    return Check(what, len(judged), tuple(findings))


def _same_bytes(train: Part, one: int, judge: Part, other: int) -> bool:
    if place_of(train, one) == place_of(judge, other):
        return False  # one file: `shared_files` says so
    data = [
        part.selection.manifest.storage.read(part.selection.manifest.text["picture"][row])
        for part, row in ((train, one), (judge, other))
    ]
    return data[0] == data[1]


def wrong_lists(part: Part) -> Check:
    """Check that no list of references names its target, or a near-duplicate of it, or somebody who is not there.

    Data sets leave those out anyway; a list that has them was made by a mistake.
    """
    what = "no target among its references"
    manifest = part.selection.manifest
    if manifest.reference_ends is None or manifest.reference_rows is None:
        return Check(what, len(part.selection.targets))  # references are the others of the person
    owners = np.repeat(np.arange(len(manifest)), np.diff(manifest.reference_ends, prepend=0))
    of_target = np.zeros(len(manifest), dtype=bool)
    of_target[part.selection.targets] = True
    first = originals(manifest)
    same = np.arange(len(manifest)) if first is None else first
    bad = np.flatnonzero(of_target[owners] & (same[owners] == same[manifest.reference_rows]))
    findings = []
    for place in bad.tolist():
        target, listed = int(owners[place]), int(manifest.reference_rows[place])
        copy = "itself" if target == listed else f"its near-duplicate {manifest.name_of(listed)}"
        findings.append(f"{manifest.name_of(target)} has {copy} in its list of references")
    return Check(what, len(part.selection.targets), tuple(findings))
