"""Which rows of a manifest a data set uses: as targets, and as references."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dmdnet.data.manifest import Manifest
from dmdnet.data.people import PersonOfRecord
from dmdnet.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class QualityFloor:
    """What a picture must have. What is not known of a picture does not keep it out.

    Args:
        min_sharpness: of the manifest's `sharpness`.
        min_source_side: of the manifest's `source_side`, pixels.
        applies_to: whom it keeps out: references only, or targets too.
    """

    min_sharpness: float | None = None
    min_source_side: float | None = None
    applies_to: Literal["references", "all"] = "references"

    def passes(self, manifest: Manifest) -> np.ndarray:
        """Return which rows pass, bool (N,)."""
        good = np.ones(len(manifest), dtype=bool)
        for column, least in self._asked().items():
            if column in manifest.arrays:
                good &= ~(manifest.arrays[column] < least)  # NaN is unknown, and not below
        return good

    def unknown(self, manifest: Manifest) -> list[str]:
        """Return the columns that are asked for and of which the table knows nothing."""
        return [column for column in self._asked() if column not in manifest.arrays]

    def _asked(self) -> dict[str, float]:
        asked = {"sharpness": self.min_sharpness, "source_side": self.min_source_side}
        return {column: least for column, least in asked.items() if least is not None}


@dataclass(frozen=True, eq=False)
class Selection:
    """The rows of one data set.

    Args:
        manifest: the table.
        targets: rows that are restored, ascending, int64 (T,).
        rows: all rows of the people that are used, ascending, int64 (N,).
        may_refer: rows that may be references: a sharp picture over the quality floor; bool, one for each row of
            the whole table.
    """

    manifest: Manifest
    targets: np.ndarray
    rows: np.ndarray
    may_refer: np.ndarray

    @property
    def identities(self) -> PersonOfRecord:
        """The person of every target."""
        return PersonOfRecord(self.manifest, self.targets)

    def listed_references(self) -> np.ndarray:
        """Return the rows that are in the list of references of any target, ascending; empty without lists."""
        ends, listed = self.manifest.reference_ends, self.manifest.reference_rows
        if ends is None or listed is None:
            return np.zeros(0, dtype=np.int64)
        lengths = np.diff(ends, prepend=0)
        of_target = np.zeros(len(self.manifest), dtype=bool)
        of_target[self.targets] = True
        return np.unique(listed[np.repeat(of_target, lengths)])

    def used(self) -> np.ndarray:
        """Return all rows that are read, as targets or as references, ascending."""
        referred = self.rows[self.may_refer[self.rows]]
        listed = self.listed_references()
        return np.unique(np.concatenate([self.targets, referred, listed[self.may_refer[listed]]]))


def filled(manifest: Manifest, column: str) -> np.ndarray:
    """Return which rows have something in a column of text, bool (N,)."""
    if column not in manifest.text:
        return np.zeros(len(manifest), dtype=bool)
    return manifest.text[column].lengths() > 0


def read_identities(path: str) -> frozenset[str]:
    """Read an identity list: one identity a line, `#` starts a comment.

    Raises:
        DataError: the file is missing, no text, or names nobody.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"identities_file: there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"identities_file: {path} cannot be read as text: {error}") from error
    identities = frozenset(filter(None, (line.split("#", 1)[0].strip() for line in text.splitlines())))
    if not identities:
        raise DataError(f"identities_file: {path} names no identity (one a line)")
    return identities


def select(
    manifest: Manifest,
    *,
    identities_file: str | None = None,
    exclude_identities: Iterable[str] = (),
    identity_range: tuple[int, int] | None = None,
    floor: QualityFloor = QualityFloor(),
) -> Selection:
    """Return the rows of the people who are asked for; the conditions hold together.

    Args:
        identities_file: only people named in this file.
        exclude_identities: not these.
        identity_range: only people first <= n < last in the sorted list of all people of the table, counted before
            the other conditions, so that a split does not move when somebody is excluded.
        floor: what pictures must have.

    Raises:
        DataError: nobody, or no target, is left.
    """
    chosen = _chosen_people(manifest, identities_file, exclude_identities, identity_range)
    for column in floor.unknown(manifest):
        logger.warning("%s: no %s is known of its pictures, so min_%s keeps none out; `python -m dmdnet prepare` "
                       "measures it", manifest.origin, column, column)  # fmt: skip
    good = floor.passes(manifest)
    rows = np.flatnonzero(chosen[manifest.identity])
    targets = rows[manifest.is_target[rows]]
    if floor.applies_to == "all":
        targets = targets[good[targets]]
    if not len(targets):
        raise DataError(
            f"{manifest.origin}: of {len(rows)} pictures none is left as a target; lower min_sharpness and "
            "min_source_side, or choose another split"
        )
    return Selection(manifest, targets, rows, good & filled(manifest, "picture"))


def _chosen_people(
    manifest: Manifest,
    identities_file: str | None,
    exclude_identities: Iterable[str],
    identity_range: tuple[int, int] | None,
) -> np.ndarray:
    """Return which people are used, bool (P,)."""
    people = manifest.identities
    if identities_file is None and not exclude_identities and identity_range is None:
        return np.ones(len(people), dtype=bool)
    names = list(people)
    numbers = {name: number for number, name in enumerate(names)}
    chosen = np.zeros(len(names), dtype=bool)
    # by their letters, whatever the order of the table: the ranges in option files mean the same people as ever
    ordered = sorted(range(len(names)), key=names.__getitem__)
    first, last = identity_range or (0, len(names))
    chosen[ordered[max(first, 0) : max(last, 0)]] = True
    chosen[[numbers[name] for name in exclude_identities if name in numbers]] = False
    if identities_file is not None:
        chosen &= _listed(numbers, identities_file)
    if not chosen.any():
        raise DataError(
            f"none of the {len(names)} people ({names[ordered[0]]} .. {names[ordered[-1]]}) is left by identities_file "
            f"{identities_file}, identity_range {list(identity_range) if identity_range else None} and "
            "exclude_identities; widen one of them"
        )
    return chosen


def _listed(numbers: dict[str, int], identities_file: str) -> np.ndarray:
    listed = read_identities(identities_file)
    absent = sorted(listed - numbers.keys())
    if absent:
        logger.warning("%d of the %d identities in %s are not in the data, the first is %s",
                       len(absent), len(listed), identities_file, absent[0])  # fmt: skip
    chosen = np.zeros(len(numbers), dtype=bool)
    chosen[[numbers[name] for name in listed if name in numbers]] = True
    return chosen
