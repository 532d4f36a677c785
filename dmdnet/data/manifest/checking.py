"""What must hold for the columns of a table, checked for all rows at once. Nothing here makes an object for a row."""

from __future__ import annotations

import codecs
from collections.abc import Mapping

import numpy as np

from dmdnet.data.manifest.row import SPLITS
from dmdnet.data.manifest.strings import Strings
from dmdnet.data.manifest.table import ARRAY_COLUMNS, TEXT_COLUMNS
from dmdnet.errors import DataError

MAX_TEXT = 4096  # bytes of one string; the longest path of Linux
MAX_SIDE = 1 << 20  # pixels
KEY_COLUMNS = ("name", "picture", "degraded", "landmark_file")  # these become parts of paths
DATA, ENDS = ".data", ".ends"
STRINGS = (*TEXT_COLUMNS, "identities")
_ROWS_AT_ONCE = 1 << 16
_BYTES_AT_ONCE = 1 << 20
_CONTINUES = (0xC0, 0x80)  # mask and value of UTF-8 bytes that do not begin a character
_NOT_IN_TEXT = np.isin(np.arange(256), [0, 10, 13])
_NOT_IN_KEYS = _NOT_IN_TEXT | (np.arange(256) == ord("\\"))


def column_dtypes() -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Return type and shape of an element of every array that a table may have; -1 is any length but 0."""
    columns: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
    for name in STRINGS:
        columns |= {name + DATA: (np.dtype(np.uint8), ()), name + ENDS: (np.dtype(np.int64), ())}
    columns |= {
        "identity": (np.dtype(np.int32), ()),
        "split": (np.dtype(np.uint8), ()),
        "is_target": (np.dtype(np.bool_), ()),
        "duplicate_of": (np.dtype(np.int64), ()),
        "reference_ends": (np.dtype(np.int64), ()),
        "reference_rows": (np.dtype(np.int64), ()),
    }
    return columns | {name: (np.dtype(kind.dtype), kind.shape) for name, kind in ARRAY_COLUMNS.items()}


REQUIRED = ("name.data", "name.ends", "identities.data", "identities.ends", "identity", "split", "is_target")
_OF_ANY_LENGTH = {name + DATA for name in STRINGS} | {"identities" + ENDS, "reference_rows"}


class ColumnError(ValueError):
    """What is wrong with a column; becomes a DataError with the file's name."""


def check_tensors(tensors: Mapping[str, np.ndarray], origin: str) -> None:
    """Check that arrays make a valid table.

    Raises:
        DataError: they do not; the message says which column, which row and why.
    """
    try:
        _check_shapes(tensors)
        for name in STRINGS:
            if name + ENDS in tensors:
                _check_strings(name, Strings(tensors[name + DATA], tensors[name + ENDS]))
        _check_names(tensors)
        _check_numbers(tensors)
        _check_references(tensors)
        for name in ARRAY_COLUMNS:
            if name in tensors:
                _check_values(name, tensors[name])
    except ColumnError as error:
        raise DataError(f"{origin}: {error}. Make the manifest again") from error


def _check_shapes(tensors: Mapping[str, np.ndarray]) -> None:
    known = column_dtypes()
    unknown = sorted(set(tensors) - set(known))
    if unknown:
        raise ColumnError(f"unknown column {unknown[0]!r}")
    missing = [name for name in REQUIRED if name not in tensors]
    missing += [name + other for name in STRINGS for one, other in ((DATA, ENDS), (ENDS, DATA))
                if name + one in tensors and name + other not in tensors]  # fmt: skip
    missing += ["reference_ends"] if "reference_rows" in tensors and "reference_ends" not in tensors else []
    missing += ["reference_rows"] if "reference_ends" in tensors and "reference_rows" not in tensors else []
    if missing:
        raise ColumnError(f"the column {missing[0]!r} is missing")
    rows = tensors["identity"].shape[0] if tensors["identity"].ndim else 0
    for name, array in tensors.items():
        dtype, element = known[name]
        wanted = (array.shape[:1] if name in _OF_ANY_LENGTH else (rows,)) + element
        fits = len(wanted) == array.ndim and all(
            have == want or (want == -1 and have > 0) for have, want in zip(array.shape, wanted, strict=True)
        )
        if array.dtype != dtype or not fits:
            raise ColumnError(f"{name} is {array.dtype} {array.shape}, {dtype} {wanted} is needed")


def _check_strings(name: str, strings: Strings) -> None:
    ends, data = strings.ends, strings.data
    _check_ends(name + ENDS, ends, len(data))
    lengths = strings.lengths()
    if len(lengths) and lengths.max() > MAX_TEXT:
        raise ColumnError(f"{name} of row {int(lengths.argmax())} has {lengths.max():,} bytes, more than {MAX_TEXT}")
    _check_utf8(name, data)
    starts = strings.starts()[lengths > 0]
    if ((data[starts] & _CONTINUES[0]) == _CONTINUES[1]).any():
        raise ColumnError(f"{name}: a string begins inside a character")
    forbidden = _NOT_IN_KEYS if name in KEY_COLUMNS else _NOT_IN_TEXT
    for place in range(0, len(data), _BYTES_AT_ONCE):
        bad = np.flatnonzero(forbidden[data[place : place + _BYTES_AT_ONCE]])
        if len(bad):
            raise ColumnError(f"{name} of row {_row(ends, place + int(bad[0]))} has a backslash, NUL or line break")
    if name in KEY_COLUMNS:
        _check_relative(name, strings, lengths)


def _check_utf8(name: str, data: np.ndarray) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for place in range(0, len(data), _BYTES_AT_ONCE):
            decoder.decode(data[place : place + _BYTES_AT_ONCE].tobytes())
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise ColumnError(f"{name} is no UTF-8 ({error.reason})") from error


def _check_relative(name: str, strings: Strings, lengths: np.ndarray) -> None:
    """Refuse paths that begin with a slash or have a part `..`."""
    data, starts, ends = strings.data, strings.starts(), strings.ends
    filled = np.flatnonzero(lengths)
    rooted = filled[data[starts[filled]] == ord("/")]
    if len(rooted):
        raise ColumnError(f"{name} of row {int(rooted[0])} begins with a slash; paths are relative")
    dots = np.flatnonzero((data[:-1] == ord(".")) & (data[1:] == ord(".")))
    rows = np.searchsorted(ends, dots, side="right")
    slashed = np.append(data, ord("/")) == ord("/")  # the last one stands for the end, and for what is before 0
    opens = (dots == starts[rows]) | slashed[dots - 1]
    closes = (dots + 2 == ends[rows]) | ((dots + 2 < ends[rows]) & slashed[dots + 2])
    bad = rows[opens & closes]
    if len(bad):
        raise ColumnError(f"{name} of row {int(bad[0])} has a part '..'; paths stay in their folder")


def _check_names(tensors: Mapping[str, np.ndarray]) -> None:
    for column, what in (("name", "faces are named"), ("identities", "people are named")):
        strings = Strings(tensors[column + DATA], tensors[column + ENDS])
        empty = np.flatnonzero(strings.lengths() == 0)
        if column == "name" and len(empty):
            raise ColumnError(f"row {int(empty[0])} has no name")
        twice = strings.repeated()
        if twice is not None:
            raise ColumnError(f"two {what} {strings[twice[0]]!r}, rows {twice[0]} and {twice[1]}")


def _check_numbers(tensors: Mapping[str, np.ndarray]) -> None:
    rows = len(tensors["identity"])
    _check_range("identity", tensors["identity"], 0, len(tensors["identities" + ENDS]) - 1)
    _check_range("split", tensors["split"], 0, len(SPLITS) - 1)
    _check_range("is_target", tensors["is_target"].view(np.uint8), 0, 1)
    duplicates = tensors.get("duplicate_of")
    if duplicates is not None:
        _check_range("duplicate_of", duplicates, -1, rows - 1)
        late = np.flatnonzero(duplicates >= np.arange(rows))
        if len(late):
            raise ColumnError(f"duplicate_of of row {int(late[0])} is no earlier row")


def _check_references(tensors: Mapping[str, np.ndarray]) -> None:
    references = tensors.get("reference_rows")
    if references is not None:
        _check_ends("reference_ends", tensors["reference_ends"], len(references))
        _check_range("reference_rows", references, 0, len(tensors["identity"]) - 1)


def _check_values(name: str, values: np.ndarray) -> None:
    if name == "size":
        _check_range(name, values, 0, MAX_SIDE)
        half = np.flatnonzero((values[:, 0] > 0) != (values[:, 1] > 0))
        if len(half):
            raise ColumnError(f"size of row {int(half[0])} is {values[half[0]].tolist()}; both are positive")
    elif name in ("checksum", "degraded_checksum"):
        _check_range(name, values, -1, 2**32 - 1)
    elif name == "num_bytes":
        _check_range(name, values, -1, 2**53)
    elif values.dtype.kind == "f":
        _check_finite(name, values)


def _check_finite(name: str, values: np.ndarray) -> None:
    """Accept rows that are finite, or NaN throughout, which is "unknown"."""
    for first in range(0, len(values), _ROWS_AT_ONCE):
        part = values[first : first + _ROWS_AT_ONCE]
        part = part.reshape(len(part), -1)
        holed = np.flatnonzero(~np.isfinite(part).all(axis=1))
        bad = holed[~np.isnan(part[holed]).all(axis=1)]
        if len(bad):
            raise ColumnError(f"{name} of row {first + int(bad[0])} has numbers that are not finite")


def _check_ends(name: str, ends: np.ndarray, total: int) -> None:
    if (ends[-1] if len(ends) else 0) != total:
        raise ColumnError(f"{name} does not end at {total:,}")
    if len(ends) and (ends[0] < 0 or (ends[1:] < ends[:-1]).any()):
        raise ColumnError(f"{name} does not rise")


def _check_range(name: str, values: np.ndarray, low: int, high: int) -> None:
    if values.size and (values.min() < low or values.max() > high):
        row = int(np.flatnonzero(((values < low) | (values > high)).reshape(len(values), -1).any(axis=1))[0])
        raise ColumnError(f"{name} of row {row} is {values[row].tolist()}, {low} to {high} is possible")


def _row(ends: np.ndarray, place: int) -> int:
    return int(np.searchsorted(ends, place, side="right"))
