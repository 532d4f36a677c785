"""Whose face is it: by the folders that a person made, or by the embeddings alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dmdnet.data.storage.natural import natural_key
from dmdnet.prepare.identities import group_faces
from dmdnet.prepare.options import People
from dmdnet.prepare.record import FoundFace
from dmdnet.prepare.scan import Failure


@dataclass(frozen=True)
class Person:
    """A person and the faces that are theirs, in natural order of their photographs.

    `key` stands for the person when splits are drawn: the folder, or the first photograph of a sorted person, which
    other people's photographs do not change as they change the number in `name`.
    """

    name: str
    key: str
    faces: tuple[FoundFace, ...]


def choose_people(photographs: Iterable[str], people: People) -> People:
    """Return what `auto` means for these photographs: `folders` when each is in a folder, else `sort`."""
    if people != "auto":
        return people
    return "folders" if all("/" in name for name in photographs) else "sort"


def assign_people(
    faces: Sequence[FoundFace], people: People, same_person_distance: float
) -> tuple[list[Person], list[Failure]]:
    """Return the people, and the faces that are nobody's and why.

    Args:
        faces: in natural order of their photographs, the largest of each first.
        people: `folders`, `innermost` or `sort`.
    """
    if people == "sort":
        return _sorted_people(faces, same_person_distance), []
    folders: defaultdict[str, list[FoundFace]] = defaultdict(list)
    failures = []
    for face in faces:
        if "/" in face.photograph:
            above = face.photograph.rsplit("/", 1)[0]
            folders[above.split("/", 1)[0] if people == "folders" else above].append(face)
        else:
            failures.append(
                Failure(face.photograph, "lies in no person's folder; --people sort needs none", face.number)
            )
    found = []
    for folder in sorted(folders, key=natural_key):
        kept, others = _folder_person(folders[folder], same_person_distance)
        failures += others
        if kept:
            found.append(Person(folder, folder, tuple(kept)))
    return found, failures


def _sorted_people(faces: Sequence[FoundFace], same_person_distance: float) -> list[Person]:
    if not faces:
        return []
    labels = group_faces(
        np.stack([face.embedding for face in faces]), [face.photograph for face in faces], same_person_distance
    )
    members: defaultdict[int, list[FoundFace]] = defaultdict(list)
    for label, face in zip(labels.tolist(), faces, strict=True):
        members[label].append(face)
    width = max(4, len(str(len(members))))
    return [
        Person(f"person_{label + 1:0{width}d}", f"{group[0].photograph}#{group[0].number}", tuple(group))
        for label, group in sorted(members.items())
    ]


def _folder_person(faces: Sequence[FoundFace], limit: float) -> tuple[list[FoundFace], list[Failure]]:
    """Return the faces of the person whom a folder is about, and the others.

    It is the person who is in most of its photographs. Of each photograph the face nearest to that person is taken,
    if it is near enough. Where less than half of the photographs agree, a photograph of one face is believed.
    """
    photographs: defaultdict[str, list[int]] = defaultdict(list)
    for number, face in enumerate(faces):
        photographs[face.photograph].append(number)
    embeddings = np.stack([face.embedding for face in faces]).astype(np.float64)
    core = _core(embeddings, [face.photograph for face in faces], limit)
    agreed = len({faces[number].photograph for number in core})
    sure = agreed > 1 and 2 * agreed >= len(photographs)
    kept, failures = [], []
    for name, numbers in photographs.items():
        others = [number for number in core if faces[number].photograph != name]
        distances = [_distance(embeddings, number, others) for number in numbers]
        nearest = int(np.argmin(distances))
        if agreed < 2 and len(numbers) > 1:
            reason = f"is one of {len(numbers)} faces, and no other photograph of the folder says which is meant"
            failures += [Failure(name, reason, faces[number].number) for number in numbers]
            continue
        believed = len(numbers) == 1 and not sure
        for place, (number, distance) in enumerate(zip(numbers, distances, strict=True)):
            if believed or (place == nearest and (number in core or distance <= limit)):
                kept.append(faces[number])
            else:
                failures.append(Failure(name, _stranger(distance, limit), faces[number].number))
    return kept, failures


def _core(embeddings: np.ndarray, photographs: Sequence[str], limit: float) -> list[int]:
    """Return the faces of the person who is in most photographs; among equals the one with most of their own."""
    labels = group_faces(embeddings, photographs, limit)
    alone = Counter(photographs)
    shown: defaultdict[int, set[str]] = defaultdict(set)
    own: Counter[int] = Counter()
    for label, photograph in zip(labels.tolist(), photographs, strict=True):
        shown[label].add(photograph)
        own[label] += alone[photograph] == 1
    best = max(shown, key=lambda label: (len(shown[label]), own[label], -label))
    return np.flatnonzero(labels == best).tolist()


def _distance(embeddings: np.ndarray, number: int, others: Sequence[int]) -> float:
    """Return the median distance of a face to others, 0 where there are none."""
    if not len(others):
        return 0.0
    return float(np.median(np.linalg.norm(embeddings[list(others)] - embeddings[number], axis=1)))


def _stranger(distance: float, limit: float) -> str:
    if distance <= limit:
        return "is like the folder's person, and another face of the photograph more so"
    return (
        f"looks like somebody else than the folder's person (distance {distance:.2f}, one person's lie below {limit:g})"
    )
