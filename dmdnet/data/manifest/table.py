"""The table itself: columns as arrays, rows made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from dmdnet.data.manifest.mapped import MappedFile, packed, unpacked
from dmdnet.data.manifest.row import SPLITS, Row
from dmdnet.data.manifest.strings import Strings
from dmdnet.data.storage.base import Storage
from dmdnet.data.storage.natural import natural_key
from dmdnet.errors import DataError

TEXT_COLUMNS = ("name", "picture", "degraded", "landmark_file", "source")


@dataclass(frozen=True)
class ArrayColumn:
    """How an optional column of numbers is kept.

    Args:
        dtype: type of its numbers.
        unknown: what stands for "unknown".
        value: makes a row's value of an element.
        shape: of an element; -1 stands for any length, the same in the whole column.
    """

    dtype: type[np.generic]
    unknown: float
    value: Callable[[np.ndarray], Any]
    shape: tuple[int, ...] = ()


ARRAY_COLUMNS: Mapping[str, ArrayColumn] = {
    "checksum": ArrayColumn(np.int64, -1, int),
    "degraded_checksum": ArrayColumn(np.int64, -1, int),
    "num_bytes": ArrayColumn(np.int64, -1, int),
    "size": ArrayColumn(np.int32, 0, lambda value: tuple(value.tolist()), (2,)),
    "landmarks": ArrayColumn(np.float32, np.nan, np.array, (68, 2)),
    "embedding": ArrayColumn(np.float16, np.nan, lambda value: value.astype(np.float32), (-1,)),
    "pose": ArrayColumn(np.float32, np.nan, lambda value: tuple(value.tolist()), (3,)),
    "sharpness": ArrayColumn(np.float32, np.nan, float),
    "source_side": ArrayColumn(np.float32, np.nan, float),
    "fingerprint": ArrayColumn(np.uint64, 0, int),
}


@dataclass(frozen=True, eq=False)
class Manifest:
    """Faces by column. `manifest[number]` is a `Row`; millions of rows are opened without making any.

    Args:
        text: the columns of TEXT_COLUMNS; one that is absent is empty everywhere, `name` is always there.
        identities: the people, in natural order, each once.
        identity: number of each row's person in `identities`, int32 (N,).
        split: number of each row's split in SPLITS, uint8 (N,).
        is_target: False for rows that are references only, bool (N,).
        arrays: the columns of ARRAY_COLUMNS that are known for at least one row, (N, ...).
        duplicate_of: number of the earlier row of which a row is a near-duplicate, -1 for none; None: not looked for.
        reference_ends, reference_rows: the references of row n are reference_rows[ends[n - 1]:ends[n]], the best
            first; None: all others of the same person.
        storage: where the keys of `picture` and `degraded` are read.
        origin: what to call the table in messages.
        mapped: the file in which columns lie, when the table was opened from one. Columns that lie there are not
            copied when the table is pickled.
    """

    text: Mapping[str, Strings]
    identities: Strings
    identity: np.ndarray
    split: np.ndarray
    is_target: np.ndarray
    storage: Storage
    origin: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    duplicate_of: np.ndarray | None = None
    reference_ends: np.ndarray | None = None
    reference_rows: np.ndarray | None = None
    mapped: MappedFile | None = field(default=None, repr=False)

    @classmethod
    def from_rows(cls, rows: Iterable[Row], *, storage: Storage, origin: str) -> Manifest:
        """Return the table of `rows`, in their order.

        Raises:
            DataError: two rows have one name, or a row names another that is not there.
        """
        rows = tuple(rows)
        numbers = _numbers([row.name for row in rows], origin)
        people = sorted({row.identity for row in rows}, key=natural_key)
        codes = {person: code for code, person in enumerate(people)}
        ends, references = _references(rows, numbers, origin)
        return cls(
            text={
                column: Strings.of(getattr(row, column) for row in rows)
                for column in TEXT_COLUMNS
                if column == "name" or any(getattr(row, column) for row in rows)
            },
            identities=Strings.of(people),
            identity=np.array([codes[row.identity] for row in rows], dtype=np.int32),
            split=np.array([SPLITS.index(row.split) for row in rows], dtype=np.uint8),
            is_target=np.array([row.is_target for row in rows], dtype=bool),
            storage=storage,
            origin=origin,
            arrays={
                column: _array(rows, column)
                for column in ARRAY_COLUMNS
                if any(getattr(row, column) is not None for row in rows)
            },
            duplicate_of=_duplicates(rows, numbers, origin),
            reference_ends=ends,
            reference_rows=references,
        )

    def __len__(self) -> int:
        return len(self.identity)

    def __iter__(self) -> Iterator[Row]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Row:
        """Return one row; its `references` are names."""
        row, references = self.without_references(number), self.references_of(number)
        if references is None:
            return row
        names = self.text["name"]
        return replace(row, references=tuple(names[listed] for listed in references.tolist()))

    def without_references(self, number: int) -> Row:
        """Return one row with `references` None: all that reading its pictures needs, in a tenth of the time."""
        names = self.text["name"]
        duplicate = -1 if self.duplicate_of is None else int(self.duplicate_of[number])
        known: dict[str, Any] = {column: values[number] for column, values in self.text.items()}
        known |= {column: self._value(column, number) for column in self.arrays}
        return Row(
            **known,
            identity=self.identity_of(number),
            split=SPLITS[int(self.split[number])],
            is_target=bool(self.is_target[number]),
            duplicate_of=None if duplicate < 0 else names[duplicate],
        )

    def name_of(self, number: int) -> str:
        """Return the name of a row."""
        return self.text["name"][number]

    def identity_of(self, number: int) -> str:
        """Return the person of a row."""
        return self.identities[int(self.identity[number])]

    def references_of(self, number: int) -> np.ndarray | None:
        """Return the numbers of the rows that are listed as references of a row, None when nothing is listed."""
        if self.reference_ends is None or self.reference_rows is None:
            return None
        start = int(self.reference_ends[number - 1]) if number else 0
        return self.reference_rows[start : int(self.reference_ends[number])]

    @cached_property
    def number_of(self) -> Mapping[str, int]:
        """The number of each name."""
        return _numbers(self.text["name"], self.origin)

    def __getstate__(self) -> dict[str, Any]:
        state = {one.name: getattr(self, one.name) for one in fields(self)}  # without what was made on demand
        return state if self.mapped is None else packed(state, self.mapped)

    def __setstate__(self, state: dict[str, Any]) -> None:
        mapped = state["mapped"]
        self.__dict__.update(state if mapped is None else unpacked(state, mapped))

    def _value(self, column: str, number: int) -> Any:
        value = self.arrays[column][number]
        kind = ARRAY_COLUMNS[column]
        unknown = np.isnan(value) if np.isnan(kind.unknown) else value == kind.unknown
        return None if np.all(unknown) else kind.value(value)


def _numbers(names: Sequence[str], origin: str) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for number, name in enumerate(names):
        if numbers.setdefault(name, number) != number:
            raise DataError(f"{origin}: two faces are named {name!r}; give them different names")
    return numbers


def _array(rows: Sequence[Row], column: str) -> np.ndarray:
    kind = ARRAY_COLUMNS[column]
    values = [getattr(row, column) for row in rows]
    shape = next(np.shape(value) for value in values if value is not None)
    wrong = next((n for n, value in enumerate(values) if value is not None and np.shape(value) != shape), None)
    if wrong is not None:
        raise DataError(f"{rows[wrong].name}: its {column} has the shape {np.shape(values[wrong])}, others {shape}")
    array = np.full((len(rows), *shape), kind.unknown, dtype=kind.dtype)
    for number, value in enumerate(values):
        if value is not None:
            array[number] = value
    return array


def _duplicates(rows: Sequence[Row], numbers: Mapping[str, int], origin: str) -> np.ndarray | None:
    if all(row.duplicate_of is None for row in rows):
        return None
    found = [-1 if row.duplicate_of is None else _number(row.duplicate_of, numbers, row, origin) for row in rows]
    return np.array(found, dtype=np.int64)


def _references(
    rows: Sequence[Row], numbers: Mapping[str, int], origin: str
) -> tuple[np.ndarray | None, np.ndarray | None]:
    if all(row.references is None for row in rows):
        return None, None
    lists = [[_number(name, numbers, row, origin) for name in row.references or ()] for row in rows]
    flat = [number for listed in lists for number in listed]
    return np.cumsum([len(listed) for listed in lists], dtype=np.int64), np.array(flat, dtype=np.int64)


def _number(name: str, numbers: Mapping[str, int], row: Row, origin: str) -> int:
    if name not in numbers:
        raise DataError(f"{origin}: {row.name} names {name!r}, which is not in the table")
    return numbers[name]
