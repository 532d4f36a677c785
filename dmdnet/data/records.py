"""What a data set knows of a picture before it is read, and which people of a layout are used."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmdnet.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FaceRecord:
    """One aligned face picture.

    `name` is its path below the root with slashes, unique in the set and the same on every machine;
    `landmarks` is where its 68 points are, or are to be written when they have to be made.
    """

    name: str
    path: Path
    landmarks: Path
    identity: str


def by_identity(records: Sequence[FaceRecord]) -> dict[str, tuple[int, ...]]:
    """Return the numbers of each person's records, in the order of the records."""
    people: dict[str, list[int]] = defaultdict(list)
    for number, record in enumerate(records):
        people[record.identity].append(number)
    return {identity: tuple(numbers) for identity, numbers in people.items()}


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


def select_people(
    records: Sequence[FaceRecord],
    *,
    identities_file: str | None = None,
    exclude_identities: Iterable[str] = (),
    identity_range: tuple[int, int] | None = None,
) -> tuple[FaceRecord, ...]:
    """Return the records of the people who are asked for; the conditions hold together.

    Args:
        identities_file: only people named in this file.
        exclude_identities: not these.
        identity_range: only people first <= n < last in the sorted list of all people of the layout, counted
            before the other conditions, so that a split does not move when somebody is excluded.

    Raises:
        DataError: nobody is left.
    """
    people = sorted({record.identity for record in records})
    first, last = identity_range or (0, len(people))
    chosen = set(people[max(first, 0) : max(last, 0)]) - set(exclude_identities)
    if identities_file is not None:
        listed = read_identities(identities_file)
        chosen &= listed
        absent = sorted(listed - set(people))
        if absent:
            logger.warning("%d of the %d identities in %s are not in the data, the first is %s",
                           len(absent), len(listed), identities_file, absent[0])  # fmt: skip
    if not chosen:
        raise DataError(
            f"none of the {len(people)} people ({people[0]} .. {people[-1]}) is left by identities_file "
            f"{identities_file}, identity_range {list(identity_range) if identity_range else None} and "
            "exclude_identities; widen one of them"
        )
    return tuple(record for record in records if record.identity in chosen)
