"""Published numbers as reports use them: tables of one source and one set each, and the single numbers in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from dmdnet.errors import ConfigError, DataError
from dmdnet.evaluation.published.files import Reading, SourceFile, TableData, sets_file, source_files
from dmdnet.typed import nearest

READINGS: dict[Reading, str] = {"R": "read in the source's own table", "S": "at second hand"}


@dataclass(frozen=True)
class PublishedSet:
    """A set that published numbers are of; `note` says what to know before two papers are held against each other."""

    key: str
    title: str
    note: str


@dataclass(frozen=True)
class Printed:
    """Where something is printed.

    Attributes:
        source, citation: the paper.
        where: the table in it.
        reading: "R" read in the source's own table, "S" at second hand.
        set, split: key of the set, and what the source chose of it or did to it.
        pictures: of the set; None where it is not stated.
    """

    source: str
    citation: str
    where: str
    reading: Reading
    set: str
    split: str
    pictures: int | None


@dataclass(frozen=True)
class PublishedNumber(Printed):
    """One printed number.

    Attributes:
        recipe: as far as the source states it. It equals a recipe of ours only where it is known to be the same.
        dropped: pictures that the method failed on and that its mean leaves out; None where nothing is said of them.
        note: on the row.
    """

    method: str
    metric: str
    recipe: str
    higher_is_better: bool
    value: float
    dropped: int | None
    note: str


@dataclass(frozen=True)
class PublishedTable(Printed):
    """The numbers of one table that are of one set: what may stand in one table of a report.

    Attributes:
        metrics: metric -> recipe, in the order of the columns.
        numbers: method -> metric -> number, in the order of the rows; a cell that the source leaves empty is missing.
        note: on the source and the table.
    """

    metrics: dict[str, str]
    numbers: dict[str, dict[str, PublishedNumber]]
    note: str

    @property
    def title(self) -> str:
        """The source and the place in it."""
        return self.citation if self.where == "not stated" else f"{self.citation}, {self.where}"

    def cell(self, method: str, metric: str) -> str:
        """Return a number as the table shows it, all of a column with as many decimals; "-" where there is none."""
        column = [row[metric].value for row in self.numbers.values() if metric in row]
        decimals = max(len(repr(value).partition(".")[2]) for value in column)
        return f"{self.numbers[method][metric].value:.{decimals}f}" if metric in self.numbers[method] else "-"


def published_sets() -> dict[str, PublishedSet]:
    """Return key -> set."""
    return {key: PublishedSet(key, facts.title, facts.note) for key, facts in sets_file().sets.items()}


def published_tables(set_key: str | None = None) -> tuple[PublishedTable, ...]:
    """Return the tables of a set, or of all sets in their order.

    Raises:
        ConfigError: there is no such set.
    """
    if set_key is None:
        return _tables()
    check_published_set(set_key)
    return tuple(table for table in _tables() if table.set == set_key)


def published_numbers(set_key: str | None = None) -> tuple[PublishedNumber, ...]:
    """Return the numbers of a set, or of all sets.

    Raises:
        ConfigError: there is no such set.
    """
    tables = published_tables(set_key)
    return tuple(number for table in tables for row in table.numbers.values() for number in row.values())


def check_published_set(set_key: str, place: str = "published") -> None:
    """Raise a ConfigError that names `place` unless published numbers know the set."""
    if set_key not in sets_file().sets:
        raise ConfigError(
            f"{place}: no published numbers are of a set {set_key!r}; {nearest(set_key, sets_file().sets)} "
            "(`python -m dmdnet published` lists them)"
        )


@cache
def _tables() -> tuple[PublishedTable, ...]:
    order = {key: index for index, key in enumerate(sets_file().sets)}
    found = [
        _table(source, data, set_key)
        for source in source_files()
        for data in source.tables
        for set_key in _known_sets(source, data)
    ]
    return tuple(sorted(found, key=lambda table: (order[table.set], table.reading)))


def _known_sets(source: SourceFile, data: TableData) -> Iterator[str]:
    for set_key, metrics in data.columns.items():
        if set_key not in sets_file().sets:
            raise DataError(f"{source.source}, {data.where}: the set {set_key!r} is not in sets.yml")
        for metric in metrics:
            if metric not in sets_file().higher_is_better:
                raise DataError(f"{source.source}, {data.where}: the metric {metric!r} is not in sets.yml")
            if metric not in source.recipes and metric not in data.recipes:
                raise DataError(f"{source.source}, {data.where}: the metric {metric!r} has no recipe")
        yield set_key


def _table(source: SourceFile, data: TableData, set_key: str) -> PublishedTable:
    recipes = {metric: {**source.recipes, **data.recipes}[metric] for metric in data.columns[set_key]}
    place = Printed(
        source=source.source,
        citation=source.citation,
        where=data.where,
        reading=data.reading,
        set=set_key,
        split=data.split.get(set_key, ""),
        pictures=data.pictures.get(set_key),
    )
    keys = list(data.columns)
    start = sum(len(data.columns[key]) for key in keys[: keys.index(set_key)])
    numbers: dict[str, dict[str, PublishedNumber]] = {}
    for method, cells in data.rows.items():
        row = {
            metric: PublishedNumber(
                **vars(place),
                method=method,
                metric=metric,
                recipe=recipe,
                higher_is_better=sets_file().higher_is_better[metric],
                value=value,
                dropped=data.dropped.get(method, {}).get(set_key),
                note=data.notes.get(method, ""),
            )
            for (metric, recipe), value in zip(recipes.items(), cells[start : start + len(recipes)], strict=True)
            if value is not None
        }
        if row:
            numbers[method] = row
    note = "; ".join(note for note in (source.note, data.note) if note)
    return PublishedTable(**vars(place), metrics=recipes, numbers=numbers, note=note)
