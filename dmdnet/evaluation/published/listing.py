"""Published numbers as text and as JSON, for the command line."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby

from dmdnet.evaluation.published.numbers import (
    READINGS,
    PublishedTable,
    published_numbers,
    published_sets,
    published_tables,
)
from dmdnet.evaluation.reports.text_table import text_table

CAUTION = "Tables of different sources are not comparable: splits, degradations and recipes differ."


def as_json(set_key: str | None = None) -> str:
    """Return the numbers of a set, or all, as a JSON list of records."""
    return json.dumps([asdict(number) for number in published_numbers(set_key)], indent=1)


def sets_as_text() -> str:
    """Return the sets with how many numbers and sources there are of each."""
    counts = {key: list(group) for key, group in groupby(published_numbers(), key=lambda number: number.set)}
    rows = [
        [key, facts.title, str(len(counts[key])), str(len({number.source for number in counts[key]}))]
        for key, facts in published_sets().items()
    ]
    return text_table(["set", "title", "numbers", "sources"], rows, left=2)


def tables_as_text(set_key: str) -> str:
    """Return every table of a set, each on its own.

    Raises:
        ConfigError: there is no such set.
    """
    facts = published_sets().get(set_key)
    tables = [_table_as_text(table) for table in published_tables(set_key)]
    heading = "" if facts is None else facts.title + (f" ({facts.note})" if facts.note else "")
    return "\n\n".join((heading, *tables, CAUTION))


def _table_as_text(table: PublishedTable) -> str:
    rows = [[method, *(table.cell(method, metric) for metric in table.metrics)] for method in table.numbers]
    facts = [READINGS[table.reading]]
    facts += [f"{table.pictures} pictures"] if table.pictures else []
    facts += [text for text in (table.split, table.note) if text]
    notes = [f"  {metric}: {recipe}" for metric, recipe in table.metrics.items()]
    for method, row in table.numbers.items():
        first = next(iter(row.values()))
        dropped = f" ({first.dropped} of {first.pictures})" if first.dropped else ""
        notes += [f"  {method}: {first.note}{dropped}"] if first.note or dropped else []
    return "\n".join((f"{table.title} [{'; '.join(facts)}]", text_table(["", *table.metrics], rows), *notes))
