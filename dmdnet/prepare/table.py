"""People and their faces as the rows of a manifest: splits, near-duplicates and references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from dmdnet.data.manifest import SPLITS, Row
from dmdnet.prepare.duplicates import Duplicates, find_duplicates, find_lookalikes
from dmdnet.prepare.names import face_stem, folder_name
from dmdnet.prepare.options import TableOptions
from dmdnet.prepare.order import reference_orders
from dmdnet.prepare.people import Person
from dmdnet.prepare.record import FoundFace
from dmdnet.prepare.splits import split_people

IMAGES = "images"


@dataclass(frozen=True)
class _Entry:
    """A face with its place among all faces."""

    face: FoundFace
    person: int
    number: int
    split: str
    name: str


def make_rows(
    people: Sequence[Person],
    options: TableOptions,
    same_person_distance: float,
    doubles: Sequence[tuple[str, str]] = (),
) -> list[tuple[Row, FoundFace]]:
    """Return the rows of the table with their faces, ordered so that a near-duplicate follows what it duplicates.

    Faces are ordered by split, person and photograph. References are the person's other pictures without
    near-duplicates, those of the target above all, in farthest-point order. `doubles` are keys of people who stay in
    one split.
    """
    faces = [face for person in people for face in person.faces]
    owners = [number for number, person in enumerate(people) for _ in person.faces]
    duplicates = find_duplicates(faces, same_person_distance)
    splits = _splits(people, owners, duplicates, doubles, options)
    entries = [
        _Entry(face, owner, number, splits[owner], f"{folder_name(people[owner].name)}/{_stem(face)}")
        for number, (face, owner) in enumerate(zip(faces, owners, strict=True))
    ]
    references = _references(entries, duplicates)
    ordered = sorted(entries, key=lambda entry: _place(entry, entries, duplicates))
    return [(_row(entry, people, entries, duplicates, references), entry.face) for entry in ordered]


def _stem(face: FoundFace) -> str:
    return face_stem(face.photograph, face.number)


def _splits(
    people: Sequence[Person],
    owners: Sequence[int],
    duplicates: Duplicates,
    doubles: Sequence[tuple[str, str]],
    options: TableOptions,
) -> list[str]:
    distinct = [0] * len(people)
    for owner, original in zip(owners, duplicates.of, strict=True):
        distinct[owner] += original < 0
    faces = [face for person in people for face in person.faces]
    pairs = [(one, other) for one, others in enumerate(duplicates.pairs) for other in others]
    pairs += find_lookalikes(faces, owners)
    alike = {
        (people[owners[one]].key, people[owners[other]].key) for one, other in pairs if owners[one] != owners[other]
    }
    split = split_people(
        {person.key: count for person, count in zip(people, distinct, strict=True)},
        sorted({*alike, *doubles}),
        val_share=options.val_share,
        test_share=options.test_share,
        seed=options.seed,
    )
    return [split[person.key] for person in people]


def _place(entry: _Entry, entries: Sequence[_Entry], duplicates: Duplicates) -> tuple[int, bool, int, bool, int]:
    original = duplicates.of[entry.number]
    later = original >= 0 and entries[original].person > entry.person
    return SPLITS.index(entry.split), later, entry.person, original >= 0, entry.number


def _references(entries: Sequence[_Entry], duplicates: Duplicates) -> list[tuple[str, ...]]:
    """Return the names of each entry's references."""
    people: dict[int, list[_Entry]] = {}
    for entry in entries:
        people.setdefault(entry.person, []).append(entry)
    found: dict[int, tuple[str, ...]] = {}
    for targets in people.values():
        originals = [entry for entry in targets if duplicates.of[entry.number] < 0]
        place = {entry.number: number for number, entry in enumerate(originals)}
        left_out = [
            [place[number] for number in (entry.number, *duplicates.pairs[entry.number]) if number in place]
            for entry in targets
        ]
        orders = reference_orders(np.array([entry.face.embedding for entry in originals]), left_out)
        for entry, order in zip(targets, orders, strict=True):
            found[entry.number] = tuple(originals[number].name for number in order)
    return [found[entry.number] for entry in entries]


def _row(
    entry: _Entry,
    people: Sequence[Person],
    entries: Sequence[_Entry],
    duplicates: Duplicates,
    references: Sequence[tuple[str, ...]],
) -> Row:
    face, original = entry.face, duplicates.of[entry.number]
    in_place = not face.file
    return Row(
        name=entry.name,
        identity=people[entry.person].name,
        picture=str(PurePosixPath(IMAGES, face.photograph if in_place else f"{entry.name}.png")),
        split=entry.split,
        checksum=face.checksum,
        num_bytes=face.num_bytes,
        size=face.size,
        landmarks=face.landmarks,
        embedding=face.embedding,
        pose=face.pose,
        sharpness=face.sharpness,
        source_side=face.source_side,
        fingerprint=face.fingerprint,
        duplicate_of=None if original < 0 else entries[original].name,
        references=references[entry.number],
        source=face.photograph,
    )
