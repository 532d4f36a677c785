"""The tables of a summary for a terminal: readable at 100 columns, however many methods and metrics there are.

Names are given to rich as `Text`: what is in brackets would be its markup.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dmdnet.evaluation.reports import cells
from dmdnet.evaluation.statistics.summary_record import QUESTIONS, SummaryRecord

WIDTH = 100
MANY_DIFFERENCES = 24  # rows; more are shown as a grid of pairs by the first metrics, without their intervals
MOST_PAIRS = 12  # of one question in that grid
LONGEST_NAME = 36


def print_report(records: Sequence[SummaryRecord]) -> None:
    """Print the tables of all sets."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(tables(records, console.width))


def as_text(records: Sequence[SummaryRecord], width: int = WIDTH) -> str:
    """Return the tables as plain text."""
    text = io.StringIO()
    Console(file=text, width=width, no_color=True).print(tables(records, width))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def tables(records: Sequence[SummaryRecord], width: int = WIDTH) -> RenderableType:
    """Return per set its means, below them the differences of methods, and what there is to say of both."""
    parts: list[RenderableType] = []
    for set_name in dict.fromkeys(record.set for record in records):
        mine = [record for record in records if record.set == set_name and record.of_whole_set]
        means = [record for record in mine if record.pair is None]
        differences = [record for record in mine if record.pair is not None and record.n]
        parts += _mean_tables(set_name, means, width)
        if len(differences) > MANY_DIFFERENCES:
            parts += _difference_grids(differences, width)
        elif differences:
            parts += [_difference_table(differences), Text()]
            if any(cells.verdict(record) == cells.MAYBE for record in differences):
                parts.append(Text(f"{cells.MAYBE}: {cells.MAYBE_MEANS}", style="dim"))
        parts += [Text(line, style="dim") for line in cells.footnotes(means)]
        parts.append(Text())
    return Group(*parts)


def _mean_tables(set_name: str, records: Sequence[SummaryRecord], width: int) -> list[RenderableType]:
    rows = {method: [r for r in records if r.method == method] for method in _distinct(records, "method")}
    best = {metric: cells.best([r for r in records if r.metric == metric]) for metric in cells.computed(records)}
    grid = {(record.method, record.metric): record for record in records}

    def cell(method: str, metric: str) -> Text:
        record = grid.get((method, metric))
        mean = None if record is None else record.mean
        return Text(cells.number(mean), style="bold green" if record is not None and record is best[metric] else "")

    last = {method: cells.restored(of_method) for method, of_method in rows.items()}
    title = f"{set_name}: {cells.size(records, ', ')}"
    return _grids(title, "method", list(rows), list(best), cell, width, ("restored", last))


def _difference_grids(records: Sequence[SummaryRecord], width: int) -> list[RenderableType]:
    grid = {(record.method, record.metric): record for record in records}

    def cell(method: str, metric: str) -> Text:
        record = grid.get((method, metric))
        if record is None:
            return Text(cells.NOTHING)
        better = (record.mean or 0.0) > 0 == record.higher_is_better
        style = ("green" if better else "red") if cells.mark(record) else ""
        return Text(cells.signed(record.mean) + (cells.mark(record) or " "), style=style)

    parts: list[RenderableType] = []
    metrics = _distinct(records, "metric")
    shown = [max(len(metric), *(len(cell(r.method, metric)) for r in records)) for metric in metrics]
    fit = _chunks(metrics, dict(zip(metrics, shown, strict=True)), width - LONGEST_NAME - 4)[0]
    for question, text in QUESTIONS.items():
        names = list(dict.fromkeys(record.method for record in records if record.question == question))
        if names:
            parts += _grids(text, "methods", names[:MOST_PAIRS], fit, cell, width)
        if len(names) > MOST_PAIRS:
            parts += [Text(f"and {len(names) - MOST_PAIRS} more pairs: tables.md, summary.json", style="dim"), Text()]
    notes = [f"* p <= {cells.SIGNIFICANT} after correction for all pairs of the metric"]
    notes += [f"differences by {', '.join(metrics[len(fit) :])}: tables.md, summary.json"] if metrics != fit else []
    return [*parts, *(Text(note, style="dim") for note in notes), Text()]


def _grids(
    title: str,
    first_column: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cell: Callable[[str, str], Text],
    width: int,
    last: tuple[str, dict[str, str]] | None = None,
) -> list[RenderableType]:
    """Return a table of rows by columns, with as many more below it as the columns need at this width."""
    name_width = min(max(len(first_column), *map(len, rows)), LONGEST_NAME) if rows else len(first_column)
    widths = {column: max(len(column), *(len(cell(row, column)) for row in rows)) for column in columns}
    last_width = max(len(last[0]), *map(len, last[1].values())) + 2 if last else 0
    found: list[RenderableType] = [Text(title, style="bold")]  # a table's own title is broken at the table's width
    for chunk in _chunks(list(columns), widths, width - name_width - last_width - 4):
        table = _table("", first_column)
        for column in chunk:
            table.add_column(Text(column), justify="right", no_wrap=True)
        if last:
            table.add_column(last[0], justify="right", no_wrap=True)
        for row in rows:
            table.add_row(Text(row), *(cell(row, column) for column in chunk), *([Text(last[1][row])] if last else []))
        found += [table, Text()]
    return found


def _chunks(columns: list[str], widths: dict[str, int], room: int) -> list[list[str]]:
    chunks: list[list[str]] = [[]]
    taken = 0
    for column in columns:
        if chunks[-1] and taken + widths[column] + 2 > room:
            chunks.append([])
            taken = 0
        chunks[-1].append(column)
        taken += widths[column] + 2
    return chunks


def _difference_table(records: Sequence[SummaryRecord]) -> Table:
    table = _table("differences, picture by picture; intervals and tests over people", "methods")
    table.add_column("metric", no_wrap=True)
    for column in ("mean", "95% interval", "adj. p"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("beyond\nnoise")
    previous = None
    for record in records:
        method = Text(record.method if record.method != previous else "")
        previous = record.method
        start = (method, Text(record.metric), cells.signed(record.mean))
        if record.ci_low is None or record.ci_high is None:
            table.add_row(*start, "one person", cells.NOTHING, cells.verdict(record))
            continue
        interval = f"{cells.signed(record.ci_low)} .. {cells.signed(record.ci_high)}"
        table.add_row(*start, interval, cells.p_value(record.p_adjusted), cells.verdict(record))
    return table


def _table(title: str, first_column: str) -> Table:
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column(first_column, max_width=LONGEST_NAME, overflow="fold")
    return table


def _distinct(records: Sequence[SummaryRecord], name: str) -> list[str]:
    return list(dict.fromkeys(getattr(record, name) for record in records))
