"""What checks look at: the rows of one data set, and what a check found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dmdnet.data.face_reader import FaceReader
from dmdnet.data.manifest import SPLITS, Manifest
from dmdnet.data.manifest.table import ARRAY_COLUMNS
from dmdnet.data.selection import Selection, select

_SIZE = 512  # of faces of a table that are read


@dataclass(frozen=True, eq=False)
class Part:
    """The rows of one data set, or of one member of a mixture.

    Args:
        selection: the rows.
        reader: what reads its faces.
        may_overlap: the set may share people and pictures with the training set (allow_split_overlap).
    """

    selection: Selection
    reader: FaceReader
    may_overlap: bool = False

    @property
    def origin(self) -> str:
        """What the part's table is called."""
        return self.selection.manifest.origin


@dataclass(frozen=True)
class Check:
    """One line of what was checked.

    Args:
        what: in words.
        count: how many rows or pairs it covered.
        findings: what is wrong, one line each.
        left_out: why it could not be made, or was not to be; empty where it was made.
    """

    what: str
    count: int = 0
    findings: tuple[str, ...] = ()
    left_out: str = ""


def known_values(part: Part, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the known values of a column of whole numbers in the rows that a part uses, and those rows."""
    values, unknown = part.selection.manifest.arrays[column], ARRAY_COLUMNS[column].unknown
    rows = part.selection.used()
    rows = rows[values[rows] != values.dtype.type(unknown)]
    return values[rows], rows


def not_compared(one: Part, other: Part, column: str | None = None, lack: str = "") -> str:
    """Return why two parts are not compared: they may overlap, or a table lacks a column; empty when they are.

    Args:
        column: the column of both tables that is to be compared.
        lack: what to say of a table without it, after its name.
    """
    if one.may_overlap or other.may_overlap:
        return "allowed by allow_split_overlap"
    lacking = [part.origin for part in (one, other) if column and column not in part.selection.manifest.arrays]
    return f"{lacking[0]} {lack}" if lacking else ""


def place_of(part: Part, row: int) -> str:
    """Return where a row's sharp picture lies."""
    manifest = part.selection.manifest
    return manifest.storage.where(manifest.text["picture"][row])


def parts_of_splits(manifest: Manifest) -> dict[str, Part]:
    """Return the splits of a table as parts by their names; rows of no split are the part `all`."""
    everything = select(manifest)
    reader = FaceReader(storage=manifest.storage, image_size=_SIZE)
    parts = {}
    for code, name in enumerate(SPLITS):
        rows = np.flatnonzero(manifest.split == code)
        if len(rows):
            targets = rows[manifest.is_target[rows]]
            selection = Selection(manifest, targets, rows, everything.may_refer)
            parts[name or "all"] = Part(selection, reader)
    return parts
