"""The lists of references of FFHQ-Ref and CelebA-Test-Ref.

A CSV with a header. `gt_image` is the target, `lq_image` (in test lists) its degraded picture, `ref_image` the string
form of a Python list of names: "['00012.png', '34567.png']". A column `weight` and others are passed over.
"""

from __future__ import annotations

import ast
import csv
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dmdnet.errors import DataError

logger = logging.getLogger(__name__)

TARGET, DEGRADED, REFERENCES = "gt_image", "lq_image", "ref_image"
MAX_LIST = 100_000  # characters of one list
_STRING = r"""(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")"""
# nothing but strings in one pair of brackets: what is deeper or else is never given to the parser
_STRINGS = rf"\s*(?:{_STRING}\s*(?:,\s*{_STRING}\s*)*,?\s*)?"
_LIST = re.compile(rf"\[{_STRINGS}\]|\({_STRINGS}\)|{_STRING}")


@dataclass(frozen=True)
class ListedTarget:
    """One line: the target, its degraded picture (empty where the file has none) and its references, in order."""

    name: str
    degraded: str
    references: tuple[str, ...]


def read_reference_csv(path: Path) -> list[ListedTarget]:
    """Return the lines of a list in their order.

    Raises:
        DataError: it cannot be read, lacks a column, a line is no list of names, a target comes twice, or is among
            its own references; the message names the line.
    """
    found: dict[str, ListedTarget] = {}
    for line, fields in _lines(path):
        target = _target(fields, f"{path}, line {line}")
        if target.name in found:
            raise DataError(f"{path}, line {line}: {target.name} comes a second time; keep one of its lines")
        found[target.name] = target
    if not found:
        raise DataError(f"{path}: lists no picture")
    return list(found.values())


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of each line and its fields by name."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header)
            for values in reader:
                if not any(value.strip() for value in values):
                    continue
                if len(values) != len(header):
                    raise DataError(
                        f"{path}, line {reader.line_num}: has {len(values)} fields, the header {len(header)} "
                        f"({', '.join(header)}); put lists in double quotes"
                    )
                fields = dict(zip(header, (value.strip() for value in values), strict=True))
                yield reader.line_num, fields
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a CSV file: {error}") from error


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in (TARGET, REFERENCES) if name not in header]
    if missing or len(set(header)) < len(header):
        raise DataError(
            f"{path}: its first line is to name the columns {TARGET}, {REFERENCES} and maybe {DEGRADED}, each once; "
            f"it is {','.join(header)!r:.200}"
        )
    passed_over = [name for name in header if name not in (TARGET, DEGRADED, REFERENCES)]
    if passed_over:
        logger.info("%s: the column %s is not used", path, ", ".join(map(repr, passed_over)))


def _target(fields: dict[str, str], place: str) -> ListedTarget:
    name, degraded = fields[TARGET], fields.get(DEGRADED, "")
    if not name:
        raise DataError(f"{place}: {TARGET} is empty")
    references = _names(fields[REFERENCES], place)
    if name in references:
        raise DataError(f"{place}: {name} is among its own references; take it out of them")
    if len(set(references)) < len(references):
        logger.warning("%s: a reference of %s comes twice; it is used once", place, name)
    return ListedTarget(name, degraded, tuple(dict.fromkeys(references)))


def _names(text: str, place: str) -> tuple[str, ...]:
    """Return the names in the string form of a list, or the one name that stands there without brackets."""
    if len(text) > MAX_LIST:
        raise DataError(f"{place}: {REFERENCES} has {len(text):,} characters, more than {MAX_LIST:,}")
    if not text.startswith(("[", "(", "'", '"')):
        names: tuple[str, ...] = (text,) if text else ()
    else:
        names = _literal(text, place)
    if not all(name.strip() for name in names):
        raise DataError(f"{place}: {REFERENCES} has an empty name: {text!r:.200}")
    return tuple(name.strip() for name in names)


def _literal(text: str, place: str) -> tuple[str, ...]:
    wrong = f"{place}: {REFERENCES} is no list of names like \"['00012.png', '34567.png']\": {text!r:.200}"
    if not _LIST.fullmatch(text):
        raise DataError(wrong)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise DataError(wrong) from error
    return (value,) if isinstance(value, str) else tuple(value)
