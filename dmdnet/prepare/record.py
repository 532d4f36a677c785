"""What one photograph gave, as an object and as a line of JSON."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from dmdnet.prepare.scan import Failure

_ARRAYS = {"landmarks": (np.float32, (68, 2)), "embedding": (np.float32, (-1,)), "thumbnail": (np.uint8, (-1,))}


@dataclass(frozen=True)
class FoundFace:
    """A face that is ready for the table, but for its person.

    Args:
        photograph: path below INPUT. number: of the face in it, from 1, the largest.
        file: the aligned picture below OUTPUT/work/faces; empty where the photograph itself is the picture.
        checksum, num_bytes, size: of the picture.
        landmarks: (68, 2) float32, pixels of the picture. embedding: float32.
        pose, sharpness, source_side, fingerprint: as in `dmdnet.data.manifest.Row`.
        thumbnail: the inner face, small and grey, uint8 (N,), to compare pictures by.
    """

    photograph: str
    number: int
    file: str
    checksum: int
    num_bytes: int
    size: tuple[int, int]
    landmarks: np.ndarray
    embedding: np.ndarray
    pose: tuple[float, float, float]
    sharpness: float
    source_side: float
    fingerprint: int
    thumbnail: np.ndarray


@dataclass(frozen=True)
class Finished:
    """A photograph that is done, its faces, and why it or some of its faces gave nothing.

    `passing`: what went wrong may not go wrong again (the file could not be read, or the process died): the next run
    tries it once more.
    """

    photograph: str
    stamp: tuple[int, int]
    faces: tuple[FoundFace, ...] = ()
    failures: tuple[Failure, ...] = ()
    passing: bool = False


def to_line(finished: Finished) -> str:
    """Return one line of JSON, with its end."""
    faces = []
    for face in finished.faces:
        values = dict(vars(face))
        del values["photograph"]
        for key in _ARRAYS:
            values[key] = base64.b64encode(values[key].tobytes()).decode()
        faces.append(values)
    failures = [[failure.face, failure.reason] for failure in finished.failures]
    record = {
        "photograph": finished.photograph,
        "stamp": finished.stamp,
        "faces": faces,
        "failures": failures,
        "passing": finished.passing,
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def from_line(line: str) -> Finished:
    """Return what a line of `to_line` says.

    Raises:
        ValueError, KeyError, TypeError: it is no such line, or half of one.
    """
    record = json.loads(line)
    name = record["photograph"]
    return Finished(
        name,
        _pair(record["stamp"]),
        tuple(_face(name, values) for values in record["faces"]),
        tuple(Failure(name, reason, face) for face, reason in record["failures"]),
        record["passing"],
    )


def _face(photograph: str, values: dict[str, Any]) -> FoundFace:
    known = dict(values)
    for key, (dtype, shape) in _ARRAYS.items():
        known[key] = np.frombuffer(base64.b64decode(known[key]), dtype=dtype).reshape(shape)
    yaw, pitch, roll = known.pop("pose")
    return FoundFace(photograph=photograph, pose=(yaw, pitch, roll), size=_pair(known.pop("size")), **known)


def _pair(values: Any) -> tuple[int, int]:
    one, two = values
    return one, two
