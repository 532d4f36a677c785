"""Published numbers beside ours: each source in a table of its own, with its split and its recipes."""

from __future__ import annotations

from collections.abc import Sequence

from dmdnet.evaluation.published import PublishedTable, published_sets, published_tables
from dmdnet.evaluation.published.numbers import READINGS
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.reports import cells
from dmdnet.evaluation.statistics.summary_record import SummaryRecord
from dmdnet.html import Cell, Column, Html, code, details, element, items, join, paragraph, span, table
from dmdnet.wording import counted


def published_blocks(evaluation: Evaluation, records: Sequence[SummaryRecord]) -> list[Html]:
    """Return this run's numbers and, table by table, those of the papers; nothing where the set names none."""
    if evaluation.published is None:
        return []
    known = published_sets()[evaluation.published]
    tables = published_tables(evaluation.published)
    ours = [r for r in records if r.of_whole_set and r.pair is None and r.mean is not None]
    told = (
        f"Papers' numbers for {known.title}. They stand beside ours and not in one ranking: papers differ in split, "
        "degradation and recipe, and numbers compare only within one table."
    )
    blocks = [paragraph(told), *([paragraph(known.note[:1].upper() + known.note[1:] + ".")] if known.note else [])]
    recipes = {record.recipe for record in ours}
    return [*blocks, _ours(evaluation, ours), *(_theirs(one, recipes) for one in tables)]


def _ours(evaluation: Evaluation, records: Sequence[SummaryRecord]) -> Html:
    metrics = {record.metric: record for record in reversed(records)}
    names = list(dict.fromkeys(record.metric for record in records))
    values = {(record.method, record.metric): record for record in records}
    rows = [
        (method, *(_own(values.get((method, name))) for name in names))
        for method in dict.fromkeys(record.method for record in records)
    ]
    columns = [Column("this run"), *(Column(name, "right", hint=metrics[name].recipe) for name in names)]
    return _source(
        "This run",
        "",
        [f"{counted(evaluation.n_pictures, 'picture')}; failures {_failed_as(evaluation)}"],
        table(columns, rows, label="This run", sortable=False),
        _recipes({name: metrics[name].recipe for name in names}, frozenset()),
    )


def _theirs(one: PublishedTable, ours: set[str]) -> Html:
    facts = [part for part in (one.split, counted(one.pictures, "picture") if one.pictures else "", one.note) if part]
    rows = [
        (_method(one, method), *(Cell(one.cell(method, metric)) for metric in one.metrics)) for method in one.numbers
    ]
    columns = [
        Column("method"),
        *(Column(metric, "right", hint=recipe) for metric, recipe in one.metrics.items()),
    ]
    return _source(
        one.title,
        READINGS[one.reading],
        facts,
        table(columns, rows, label=one.title, sortable=False),
        _recipes(one.metrics, ours),
    )


def _source(title: str, reading: str, facts: Sequence[str], numbers: Html, recipes: Html) -> Html:
    head = element("h4", title, " ", span(reading, "tag") if reading else None)
    told = paragraph("; ".join(facts), quiet=True) if facts else None
    return element("div", head, told, numbers, recipes, class_="source")


def _method(one: PublishedTable, method: str) -> Cell:
    row = next(iter(one.numbers[method].values()))
    dropped = f"{counted(row.dropped, 'failed picture')} left out" if row.dropped else ""
    return Cell(method, below="; ".join(part for part in (row.note, dropped) if part))


def _recipes(recipes: dict[str, str], ours: set[str] | frozenset[str]) -> Html:
    lines = [
        join(metric, ": ", code(recipe), join(" ", span("as in this run", "tag")) if recipe in ours else None)
        for metric, recipe in recipes.items()
    ]
    return details("Recipes", items(*lines))


def _own(record: SummaryRecord | None) -> Cell:
    return Cell(None) if record is None else Cell(cells.number(record.mean))


def _failed_as(evaluation: Evaluation) -> str:
    return "scored as the degraded input" if evaluation.failed_as == "input" else "left out"
