"""Part of a table as a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dmdnet.data.manifest.strings import Strings
from dmdnet.data.manifest.table import Manifest


def select_rows(manifest: Manifest, numbers: np.ndarray) -> Manifest:
    """Return the table of the rows at `numbers`, rising, with only their people.

    References and near-duplicates that are not chosen are left out. Where the rows follow each other, the columns are
    views of the old ones, so that the part of an opened file stays in the file.

    Args:
        numbers: int64 (M,), or bool (N,) that marks the rows.
    """
    if numbers.dtype == bool:
        numbers = np.flatnonzero(numbers)
    part = _as_slice(numbers)
    people, identity = np.unique(manifest.identity[part], return_inverse=True)
    place = np.full(len(manifest) + 1, -1, dtype=np.int64)  # the last is where "none" points
    place[numbers] = np.arange(len(numbers))
    ends, references = _references(manifest, numbers, place)
    return replace(
        manifest,
        text={column: _strings(values, numbers, part) for column, values in manifest.text.items()},
        identities=manifest.identities.take(people),
        identity=identity.astype(np.int32),
        split=manifest.split[part],
        is_target=manifest.is_target[part],
        arrays={column: values[part] for column, values in manifest.arrays.items()},
        duplicate_of=None if manifest.duplicate_of is None else place[manifest.duplicate_of[part]],
        reference_ends=ends,
        reference_rows=references,
    )


def _as_slice(numbers: np.ndarray) -> slice | np.ndarray:
    if len(numbers) and int(numbers[-1]) - int(numbers[0]) == len(numbers) - 1:
        return slice(int(numbers[0]), int(numbers[-1]) + 1)
    return numbers


def _strings(values: Strings, numbers: np.ndarray, part: slice | np.ndarray) -> Strings:
    return values.part(part) if isinstance(part, slice) else values.take(numbers)


def _references(
    manifest: Manifest, numbers: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    if manifest.reference_ends is None or manifest.reference_rows is None:
        return None, None
    ends = manifest.reference_ends
    starts = np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1]])[numbers]
    lengths = ends[numbers] - starts
    owners = np.repeat(np.arange(len(numbers)), lengths)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = place[manifest.reference_rows[starts[owners] + within]]
    kept = rows >= 0
    return np.cumsum(np.bincount(owners[kept], minlength=len(numbers)), dtype=np.int64), rows[kept]
