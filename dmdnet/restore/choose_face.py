"""Which face of a photograph is meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dmdnet.errors import FaceError
from dmdnet.faces.backend import Face

FACE_CHOICES = ("only", "largest", "all")


def parse_choice(choice: str | int) -> str | int:
    """Return a valid choice: one of FACE_CHOICES, or a face's number from 1.

    Raises:
        FaceError: anything else.
    """
    if isinstance(choice, str) and choice in FACE_CHOICES:
        return choice
    if str(choice).isascii() and str(choice).isdigit() and int(choice) >= 1:
        return int(choice)
    raise FaceError(f"face {choice!r}: expected {', '.join(FACE_CHOICES)}, or a face's number from 1")


def choose_faces(
    faces: Sequence[Face], choice: str | int, name: object, distances: Sequence[float] | None = None
) -> list[int]:
    """Return the indices of the faces that are meant; face number N has index N - 1, number 1 is the largest.

    Args:
        faces: at least one, the largest first.
        choice: "only" takes the face nearest to the references when there are several and `distances` to the
            references are known.

    Raises:
        FaceError: several faces and nothing that says which, or a number that no face has; the faces are listed.
    """
    choice = parse_choice(choice)
    if choice == "all":
        return list(range(len(faces)))
    if choice == "largest" or (choice == "only" and len(faces) == 1):
        return [0]
    if isinstance(choice, int):
        if choice > len(faces):
            raise FaceError(f"{name}: there is no face {choice}; it shows {list_faces(faces)}")
        return [choice - 1]
    if distances is not None:
        return [int(np.argmin(distances))]
    raise FaceError(
        f"{name}: shows {list_faces(faces)}. Say which: --face N, --face largest or --face all, "
        "or give --references of one of them"
    )


def list_faces(faces: Sequence[Face]) -> str:
    """Return the faces as one line: number, box, width."""
    items = [f"{number} at {face.box}, {face.width} px wide" for number, face in enumerate(faces, start=1)]
    return f"{len(faces)} {'face' if len(faces) == 1 else 'faces'}: " + "; ".join(items)
