"""Whether the files of a data set are there, are those that were recorded, and can be used."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from dmdnet.data.parts import Check, Part
from dmdnet.errors import DataError

_AT_ONCE = 64


def files_exist(part: Part) -> Check:
    """Check that every picture that a part uses is in its storage; nothing is decoded."""
    manifest = part.selection.manifest
    listed = set(manifest.storage.list_keys())
    keys = [key for row in part.selection.used().tolist() for key in _keys(part, row)]
    findings = []
    for key in keys:
        if key not in listed:  # perhaps only not listed: hidden, or of an unusual suffix
            try:
                manifest.storage.read(key)
            except DataError as error:
                findings.append(str(error))
    return Check("all files are there", len(keys), tuple(findings))


def files_are_good(
    part: Part, *, read: bool, checksums: bool, workers: int = 0, progress: Callable[[int], None] | None = None
) -> list[Check]:
    """Read every picture that a part uses.

    Args:
        read: decode it and its landmarks, and make the boxes. Landmarks that are missing are made, as training would.
        checksums: hold its bytes against the checksum in the manifest.
        workers: processes.
        progress: called with the number of pictures after each few.
    """
    rows = part.selection.used()
    loader: DataLoader[Any] = DataLoader(
        _Rows(part, rows, read, checksums),
        batch_size=_AT_ONCE,
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=_start_worker,
    )
    results: list[_Result] = []
    for found in loader:
        results += found
        if progress is not None:
            progress(len(found))
    checks = []
    if checksums:
        known = sum(result.summed for result in results)
        lacking = "" if known else f"{part.origin} has no checksums"
        changed = tuple(text for result in results for text in result.changed)
        checks.append(Check("files are as recorded", known, changed, lacking))
    if read:
        unusable = tuple(text for result in results for text in result.unusable)
        checks.append(Check("all pictures can be used", len(rows), unusable))
    return checks


@dataclass(frozen=True)
class _Result:
    summed: int = 0
    changed: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()


class _Rows(Dataset[_Result]):
    def __init__(self, part: Part, rows: np.ndarray, read: bool, checksums: bool) -> None:
        self.part, self.rows, self.read, self.checksums = part, rows, read, checksums

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> _Result:
        row = int(self.rows[index])
        summed, changed = _compare_checksums(self.part, row) if self.checksums else (0, ())
        return _Result(summed, changed, _unusable(self.part, row) if self.read else ())


def _compare_checksums(part: Part, row: int) -> tuple[int, tuple[str, ...]]:
    """Return how many of a row's files have a checksum, and what is wrong with them."""
    manifest, summed, wrong = part.selection.manifest, 0, []
    for key, column in zip(_keys(part, row, both=True), ("checksum", "degraded_checksum"), strict=True):
        recorded = int(manifest.arrays[column][row]) if column in manifest.arrays else -1
        if not key or recorded < 0:
            continue
        summed += 1
        try:
            found = zlib.crc32(manifest.storage.read(key))
        except DataError as error:
            wrong.append(str(error))
            continue
        if found != recorded:
            wrong.append(f"{manifest.storage.where(key)}: CRC-32 {found:08x}, {recorded:08x} was recorded")
    return summed, tuple(wrong)


def _unusable(part: Part, number: int) -> tuple[str, ...]:
    row, wrong = part.selection.manifest.without_references(number), []
    try:
        face = part.reader.read(row) if row.picture else None
        if face is not None:
            face.boxes()
        if row.degraded:
            part.reader.read_degraded(row, landmarks_of=face)
    except DataError as error:
        wrong.append(str(error))
    return tuple(wrong)


def _keys(part: Part, row: int, both: bool = False) -> list[str]:
    """Return the keys of a row's sharp and degraded pictures, those that it has, or with `both` also empty ones."""
    text = part.selection.manifest.text
    keys = [text[column][row] if column in text else "" for column in ("picture", "degraded")]
    return keys if both else [key for key in keys if key]


def _start_worker(worker: int) -> None:
    cv2.setNumThreads(0)
