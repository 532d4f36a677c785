"""The person whom a folder is about, where its photographs may show other people, too."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dmdnet.prepare.identities import group_faces
from dmdnet.prepare.record import FoundFace
from dmdnet.prepare.scan import Failure

_DOUBTFUL = 4  # photographs; fewer that disagree are no sign of anything


@dataclass
class Folder:
    """What a folder gave: the faces of its person, the faces left out, and whether it is one person's at all."""

    faces: list[FoundFace] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    doubt: str | None = None


def find_person(name: str, faces: Sequence[FoundFace], limit: float) -> Folder:
    """Return the faces of the person who is in most photographs of a folder.

    Of each photograph the face nearest to that person is taken, if it is within `limit`, the distance up to which
    faces are one person's. Where less than half of the photographs agree on a person, the folder is believed: a
    photograph that shows one face shows its person.
    """
    photographs: defaultdict[str, list[int]] = defaultdict(list)
    for number, face in enumerate(faces):
        photographs[face.photograph].append(number)
    embeddings = np.stack([face.embedding for face in faces]).astype(np.float64)
    core = _core(embeddings, [face.photograph for face in faces], limit)
    agreed = len({faces[number].photograph for number in core})
    sure = agreed > 1 and 2 * agreed >= len(photographs)
    found = Folder()
    if not sure and len(photographs) >= _DOUBTFUL:
        found.doubt = f"{name}: only {agreed} of {len(photographs)} photographs show the same person"
    for photograph, numbers in photographs.items():
        if len(numbers) == 1 and not sure:
            found.faces.append(faces[numbers[0]])
        elif agreed < 2 and len(numbers) > 1:
            reason = f"is one of {len(numbers)} faces, and no other photograph of the folder says which is meant"
            found.failures += [Failure(photograph, reason, faces[number].number) for number in numbers]
        else:
            _choose(found, faces, embeddings, numbers, core, limit)
    return found


def _core(embeddings: np.ndarray, photographs: Sequence[str], limit: float) -> list[int]:
    """Return the faces of the person who is in most photographs; among equals the one with most of their own."""
    labels = group_faces(embeddings, photographs, limit)
    faces_in = Counter(photographs)
    shown: defaultdict[int, set[str]] = defaultdict(set)
    alone: Counter[int] = Counter()
    for label, photograph in zip(labels.tolist(), photographs, strict=True):
        shown[label].add(photograph)
        alone[label] += faces_in[photograph] == 1
    best = max(shown, key=lambda label: (len(shown[label]), alone[label], -label))
    return [int(number) for number in np.flatnonzero(labels == best)]


def _choose(
    found: Folder,
    faces: Sequence[FoundFace],
    embeddings: np.ndarray,
    numbers: Sequence[int],
    core: Sequence[int],
    limit: float,
) -> None:
    """Take the face of one photograph that is the person's, and list the others."""
    photograph = faces[numbers[0]].photograph
    others = embeddings[[number for number in core if faces[number].photograph != photograph]]
    distances = [float(np.median(np.linalg.norm(others - embeddings[number], axis=1))) for number in numbers]
    nearest = int(np.argmin(distances))
    for place, (number, distance) in enumerate(zip(numbers, distances, strict=True)):
        if place == nearest and (number in core or distance <= limit):
            found.faces.append(faces[number])
        else:
            found.failures.append(Failure(photograph, _stranger(distance, limit), faces[number].number))


def _stranger(distance: float, limit: float) -> str:
    if distance <= limit:
        return "is like the folder's person, and another face of the photograph more so"
    return (
        f"looks like somebody else than the folder's person (distance {distance:.2f}, one person's lie below {limit:g})"
    )
