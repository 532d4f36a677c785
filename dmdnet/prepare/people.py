"""Whose face is it: by the folders that a person made, or by the embeddings alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dmdnet.data.storage.natural import natural_key
from dmdnet.prepare.doubles import find_doubles
from dmdnet.prepare.folders import find_person
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


@dataclass(frozen=True)
class Assignment:
    """The people; faces that are nobody's, and why; what seems wrong with folders, for people to read.

    `doubles` are the keys of people who look like one, and must not be divided.
    """

    people: tuple[Person, ...]
    failures: tuple[Failure, ...] = ()
    doubts: tuple[str, ...] = ()
    doubles: tuple[tuple[str, str], ...] = ()


def choose_people(photographs: Iterable[str], people: People) -> People:
    """Return what `auto` means for these photographs: `folders` when each is in a folder, else `sort`."""
    if people != "auto":
        return people
    return "folders" if all("/" in name for name in photographs) else "sort"


def assign_people(faces: Sequence[FoundFace], people: People, same_person_distance: float) -> Assignment:
    """Return who is who.

    Args:
        faces: in natural order of their photographs, the largest of each first.
        people: `folders`, `innermost` or `sort`.
        same_person_distance: up to which faces are one person's.
    """
    if people == "sort":
        return Assignment(_sorted_people(faces, same_person_distance))
    folders: defaultdict[str, list[FoundFace]] = defaultdict(list)
    failures, doubts, found = [], [], []
    for face in faces:
        above, slash, _ = face.photograph.rpartition("/")
        if slash:
            folders[above.split("/", 1)[0] if people == "folders" else above].append(face)
        else:
            reason = "lies in no person's folder; --people sort needs none"
            failures.append(Failure(face.photograph, reason, face.number))
    for name in sorted(folders, key=natural_key):
        folder = find_person(name, folders[name], same_person_distance)
        failures += folder.failures
        doubts += [folder.doubt] if folder.doubt else []
        if folder.faces:
            found.append(Person(name, name, tuple(folder.faces)))
    doubles = []
    for one, other, distance in find_doubles([_embeddings(person) for person in found], same_person_distance):
        names = found[one].name, found[other].name
        doubts.append(f"{names[0]} and {names[1]} look like one person (distance {distance:.2f}): kept in one split")
        doubles.append(names)
    return Assignment(tuple(found), tuple(failures), tuple(doubts), tuple(doubles))


def _embeddings(person: Person) -> np.ndarray:
    return np.stack([face.embedding for face in person.faces])


def _sorted_people(faces: Sequence[FoundFace], same_person_distance: float) -> tuple[Person, ...]:
    """Return people numbered by their first photograph."""
    if not faces:
        return ()
    labels = group_faces(
        np.stack([face.embedding for face in faces]), [face.photograph for face in faces], same_person_distance
    )
    members: defaultdict[int, list[FoundFace]] = defaultdict(list)
    for label, face in zip(labels.tolist(), faces, strict=True):
        members[label].append(face)
    width = max(4, len(str(len(members))))
    return tuple(
        Person(f"person_{label + 1:0{width}d}", f"{group[0].photograph}#{group[0].number}", tuple(group))
        for label, group in sorted(members.items())
    )
