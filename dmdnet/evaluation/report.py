"""What an evaluation leaves behind: summary.json, a CSV of all pictures, comparison sheets, and a table to read."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dmdnet.evaluation.naming import safe_name
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.sheet import comparison_sheet
from dmdnet.evaluation.summary import summarise
from dmdnet.evaluation.summary_record import SummaryRecord
from dmdnet.files import write_bytes
from dmdnet.images import write_image

SUMMARY = "summary.json"
PICTURES = "pictures.csv"
SHEET = "sheet.png"
TABLE = "table.txt"
_WIDTH = 120
_FIRST_COLUMNS = ("set", "identity", "name", "method", "status", "references", "note")


def write_report(evaluations: Sequence[Evaluation], out_dir: Path, *, seed: int = 0) -> list[SummaryRecord]:
    """Write `summary.json`, `table.txt` and, per set, `<set>_pictures.csv` and `<set>_sheet.png`.

    Each file is written atomically. Files that are not named here are left alone.

    Args:
        seed: of the bootstrap.

    Returns:
        The records of `summary.json`.
    """
    records = [record for evaluation in evaluations for record in summarise(evaluation, seed=seed)]
    out_dir.mkdir(parents=True, exist_ok=True)
    for evaluation in evaluations:
        prefix = safe_name(evaluation.set_name)
        write_bytes(out_dir / f"{prefix}_{PICTURES}", _encoded(pictures_csv(evaluation)))
        if evaluation.samples:
            write_image(out_dir / f"{prefix}_{SHEET}", comparison_sheet(evaluation.samples, evaluation.metrics))
    write_bytes(out_dir / TABLE, _encoded(as_text(records)))
    # last, so that a summary means that the rest is there
    write_bytes(out_dir / SUMMARY, _encoded(summary_json(records)))
    return records


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")  # names of files need not be valid text


def summary_json(records: Sequence[SummaryRecord]) -> str:
    """Return the records as a JSON list; what has no value is null."""
    return json.dumps([record.as_dict() for record in records], indent=1, allow_nan=False) + "\n"


def pictures_csv(evaluation: Evaluation) -> str:
    """Return one row per picture and method; an empty cell was not scored."""
    names = [metric.name for metric in evaluation.metrics]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_FIRST_COLUMNS, *names))
    for picture in evaluation.pictures:
        if picture.method not in evaluation.methods:
            continue
        values = [picture.values.get(name, math.nan) for name in names]
        writer.writerow(
            (
                evaluation.set_name,
                picture.identity,
                picture.name,
                picture.method,
                picture.status,
                picture.references,
                picture.note,
                *("" if math.isnan(value) else repr(value) for value in values),
            )
        )
    return text.getvalue()


def print_report(records: Sequence[SummaryRecord]) -> None:
    """Print the tables of all sets."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(tables(records))


def as_text(records: Sequence[SummaryRecord]) -> str:
    """Return the tables as plain text."""
    text = io.StringIO()
    Console(file=text, width=_WIDTH, no_color=True).print(tables(records))
    return text.getvalue()


def tables(records: Sequence[SummaryRecord]) -> RenderableType:
    """Return per set a table of methods by metrics, and below it the differences of methods with their intervals."""
    parts: list[RenderableType] = []
    for set_name in dict.fromkeys(record.set for record in records):
        mine = [record for record in records if record.set == set_name and record.of_whole_set]
        means = [record for record in mine if record.pair is None]
        differences = [record for record in mine if record.kind == "difference" and record.n]
        parts += [_mean_table(set_name, means), Text()]
        if differences:
            parts += [_difference_table(differences), Text()]
        parts += [Text(line, style="dim") for line in _footnotes(means)]
    return Group(*parts)


def _mean_table(set_name: str, records: Sequence[SummaryRecord]) -> Table:
    people = max((record.n_identities for record in records), default=0)
    pictures = max((record.n_pictures for record in records), default=0)
    table = _table(f"{set_name}: {pictures} pictures, {people} people", "method")
    metrics = list(dict.fromkeys(record.metric for record in records))
    for metric in metrics:
        table.add_column(metric, justify="right")
    table.add_column("restored", justify="right")
    best = {metric: _best([record for record in records if record.metric == metric]) for metric in metrics}
    for method in dict.fromkeys(record.method for record in records):
        row = {record.metric: record for record in records if record.method == method}
        cells = [
            Text(_cell(row[metric].mean), style="bold green" if row[metric] is best[metric] else "")
            for metric in metrics
        ]
        table.add_row(method, *cells, _restored(list(row.values())))
    return table


def _difference_table(records: Sequence[SummaryRecord]) -> Table:
    table = _table("differences, picture by picture; intervals over people", "methods")
    table.add_column("metric", no_wrap=True)
    for column in ("mean", "95% interval"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("beyond\nnoise")
    previous = None
    for record in records:
        method = record.method if record.method != previous else ""
        previous = record.method
        mean = "-" if record.mean is None else _signed(record.mean)
        if record.ci_low is None or record.ci_high is None:
            table.add_row(method, record.metric, mean, "one person", "unknown")
            continue
        interval = f"{_signed(record.ci_low)} .. {_signed(record.ci_high)}"
        table.add_row(method, record.metric, mean, interval, "yes" if record.beyond_noise else "no")
    return table


def _table(title: str, first_column: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    table.add_column(first_column, no_wrap=True)
    return table


def _best(records: Sequence[SummaryRecord]) -> SummaryRecord | None:
    scored = [record for record in records if record.mean is not None]
    return max(scored, key=lambda r: (r.mean or 0.0) * (1 if r.higher_is_better else -1), default=None)


def _restored(records: Sequence[SummaryRecord]) -> str:
    pictures = records[0].n_pictures
    failed = max(record.n_failed for record in records)
    return f"{pictures - failed}/{pictures}"


def _footnotes(records: Sequence[SummaryRecord]) -> list[str]:
    recipes = {record.metric: record.recipe for record in records}
    notes = [f"{metric}: {recipe}" for metric, recipe in recipes.items()]
    if any(record.n_failed for record in records):
        notes.append("pictures that a method failed on are scored as the degraded input; the CSV says why")
    if any(0 < record.n < record.n_pictures for record in records):
        notes.append("not every picture could be scored by every metric; n in summary.json")
    return notes


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"
