"""What was wrong with a picture of a test set: a test counts such pictures, where training stops or takes another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dmdnet.errors import DataError, MissingFileError

FaultKind = Literal["missing", "unreadable", "no_face", "bad_landmarks"]


@dataclass(frozen=True)
class Fault:
    """Why a picture, or the face on it, cannot be used: the kind, as reports count it, and the whole message."""

    kind: FaultKind
    note: str


@dataclass(frozen=True)
class UnusableSample:
    """A picture of a test set that could not be loaded: its target or its degraded picture is missing or damaged."""

    identity: str
    name: str
    fault: Fault


def fault_of(error: DataError) -> Fault:
    """Return what an error of reading a picture says of it."""
    return Fault("missing" if isinstance(error, MissingFileError) else "unreadable", str(error))
