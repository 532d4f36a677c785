"""What is found is written down picture by picture, so that a killed benchmark goes on where it was.

`results/<name>/journal/<set>/rank<r>.jsonl`: a line for each picture and column, written after the picture's files,
with its values, its features for metrics of whole sets, and two fingerprints: of what decides the column's numbers
(data set, metrics, method, program) and of the files that the picture is made from. A line of which either is another
one now is worth nothing, and so is one that was cut short. Lines hold for any number of ranks.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dmdnet.data.sampling import batches_of
from dmdnet.errors import DataError
from dmdnet.evaluation.findings import Features, Findings, Key
from dmdnet.evaluation.records import PictureRecord, UnusablePicture
from dmdnet.files import make_folder, write_chunks

KEPT = "kept.jsonl"


@dataclass(frozen=True)
class Prints:
    """The fingerprints of a set.

    Attributes:
        columns: column -> what decides its numbers.
        common: what decides those of the ground truth.
        stamp: (picture, column, "" for the ground truth) -> what says which files it is made from.
    """

    columns: Mapping[str, str]
    common: str
    stamp: Callable[[Key, str], str]


class SetJournal:
    """The journal of one set, open for appending by one rank."""

    def __init__(self, folder: Path, rank: int, prints: Prints) -> None:
        self._path = make_folder(folder) / f"rank{rank}.jsonl"
        self._prints = prints
        try:
            self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115  closed by `close`
        except OSError as error:
            raise _not_written(self._path, error) from error
        # Half a line of a killed run is ended, so that it takes no whole one with it.
        self._lines: list[bytes] = [b"\n"]

    def write(self, record: PictureRecord, features: Features) -> None:
        """Keep what was found of one picture and column."""
        content = {
            "column": record.method,
            "print": self._prints.columns[record.method],
            "references": record.references,
            "status": record.status,
            "reason": record.reason,
            "note": record.note,
            "values": {name: value if math.isfinite(value) else str(value) for name, value in record.values.items()},
        }
        if record.unscored:
            content["unscored"] = dict(record.unscored)
        self._add(record.key, record.method, content, features)

    def write_target(self, key: Key, features: Features) -> None:
        """Keep the features of a picture's ground truth."""
        self._add(key, "", {"print": self._prints.common, "target": True}, features)

    def write_unusable(self, picture: UnusablePicture) -> None:
        """Keep that a picture cannot be loaded."""
        content = {"print": self._prints.common, "unusable": picture.reason, "note": picture.note}
        self._add((picture.identity, picture.name), "", content, {})

    def _add(self, key: Key, column: str, content: dict[str, Any], features: Features) -> None:
        content |= {"picture": list(key), "stamp": self._prints.stamp(key, column)}
        if features:
            content["features"] = {name: _packed(values) for name, values in features.items()}
        self._lines.append(to_line(content))

    def flush(self) -> None:
        """Put what was written since into the file.

        Raises:
            DataError: the disk is full, or the file cannot be written.
        """
        data, self._lines = memoryview(b"".join(self._lines)), []
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise _not_written(self._path, error) from error

    def close(self) -> None:
        """Put everything into the file and close it."""
        try:
            self.flush()
        finally:
            self._file.close()


def read_journal(
    folder: Path, keys: Sequence[Key], prints: Prints, has_picture: Callable[[Key, str], bool]
) -> Findings:
    """Return what holds of the journal of a set, and rewrite the journal so that it has nothing else.

    Called by one rank, before any of them writes.

    Args:
        keys: the pictures of the set.
        has_picture: (picture, column) -> whether its restored picture lies where it belongs.
    """
    known, found, lines = set(keys), Findings(), []
    stamps: dict[tuple[Key, str], str] = {}
    paths = sorted(folder.glob("*.jsonl")) if folder.is_dir() else []
    for path in paths:
        for content, line in _contents(path):
            key = _key_of(content)
            column = str(content.get("column", ""))
            if key not in known or content.get("print") != (prints.columns.get(column) if column else prints.common):
                continue
            stamp = stamps.setdefault((key, column), "") or prints.stamp(key, column)
            stamps[key, column] = stamp
            if content.get("stamp") == stamp and _take(content, key, column, found, has_picture):
                lines.append(line)
    if paths:
        write_chunks(folder / KEPT, lines)
        for path in paths:
            if path.name != KEPT:
                path.unlink(missing_ok=True)
    return found


def _take(
    content: Mapping[str, Any], key: Key, column: str, found: Findings, has_picture: Callable[[Key, str], bool]
) -> bool:
    """Put a line into `found`; return whether it was of use."""
    features = {name: _unpacked(text) for name, text in content.get("features", {}).items()}
    if "unusable" in content:
        found.unusable[key] = UnusablePicture(*key, content["unusable"], content["note"])
        return True
    if content.get("target"):
        found.targets[key] = features
        return True
    if content["status"] == "ok" and not has_picture(key, column):
        return False
    if content["reason"] == "unreadable":
        return False  # a disk that did not answer once may answer now; its file has not changed
    values = {name: float(value) for name, value in content["values"].items()}  # "nan" and "inf" are text there
    record = PictureRecord(
        column, *key, content["references"], content["status"], content["note"], values, content["reason"],
        content.get("unscored", {}),
    )  # fmt: skip
    found.records[key, column] = record
    if features:
        found.features[key, column] = features
    return True


def plan(
    keys: Sequence[Key], batch_size: int, columns: Sequence[str], kept: Findings, wants_targets: bool
) -> list[tuple[int, tuple[str, ...]]]:
    """Return the numbers of the batches that are not done, each with the columns that it lacks."""
    lacking = []
    for number, records in enumerate(batches_of(len(keys), batch_size)):
        batch = [keys[record] for record in records if keys[record] not in kept.unusable]
        missing = tuple(column for column in columns if any((key, column) not in kept.records for key in batch))
        if missing or (wants_targets and any(key not in kept.targets for key in batch)):
            lacking.append((number, missing))
    return lacking


def to_line(content: Mapping[str, Any]) -> bytes:
    """Return a line with its checksum."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _contents(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the whole lines of a journal with their content."""
    try:
        with open(path, "rb") as file:
            for line in file:
                checksum, _, text = line.strip().partition(b" ")
                if checksum == b"%08x" % zlib.crc32(text):
                    yield json.loads(text), line
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; delete it to measure anew") from error


def _key_of(content: Mapping[str, Any]) -> Key:
    identity, name = content["picture"]
    return identity, name


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def _unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32)


def _not_written(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{path}: cannot be written: {error.strerror or error}; what is done stays done: make room and run the same "
        "command again"
    )
