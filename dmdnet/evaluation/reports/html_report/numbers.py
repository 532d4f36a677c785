"""Tables of one set: means, differences of methods, people, failures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dmdnet.evaluation.exhibits import lead_method, lead_metric
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.reports import cells
from dmdnet.evaluation.statistics.summary_record import QUESTIONS, SummaryRecord
from dmdnet.html import Cell, Column, Html, details, items, paragraph, table
from dmdnet.wording import counted

MOST_ROWS = 200
REASONS = {
    "missing": "no result",
    "unreadable": "cannot be read",
    "no_face": "no face found",
    "bad_landmarks": "landmarks out of the picture",
    "not_finite": "values that are not finite",
    "wrong_size": "wrong size",
    "error": "error",
    "": "other",
}


def means(records: Sequence[SummaryRecord]) -> list[Html]:
    """Return the table of methods by metrics, and what has to be said below it."""
    found = [record for record in records if record.of_whole_set and record.pair is None]
    if not found:
        return []
    by_metric = {metric: [record for record in found if record.metric == metric] for metric in _metrics(found)}
    best = {metric: cells.best(of_metric) for metric, of_metric in by_metric.items()}
    columns = [
        Column("method"),
        *(
            Column(metric, "right", "higher is better" if of[0].higher_is_better else "lower is better", of[0].recipe)
            for metric, of in by_metric.items()
        ),
        Column("restored", "right", "by itself", "pictures of the set that the method restored itself"),
    ]
    rows = []
    for method in dict.fromkeys(record.method for record in found):
        row = {record.metric: record for record in found if record.method == method}
        values = [_mean_cell(row.get(metric), best[metric]) for metric in by_metric]
        rows.append((method, *values, _restored_cell(list(row.values()))))
    return [
        table(columns, rows, label="Means of every method and metric"),
        paragraph(
            "In small print: 95% bootstrap intervals over people, and n where not every picture was scored. Bold: "
            "the best mean, which need not be beyond chance; the differences below say whether it is.",
            quiet=True,
        ),
        *_footnotes(found),
    ]


def differences(records: Sequence[SummaryRecord]) -> list[Html]:
    """Return a table for each question that pairs of methods answer."""
    found = [record for record in records if record.of_whole_set and record.pair is not None and record.n]
    blocks: list[Html] = []
    for question, words in QUESTIONS.items():
        mine = [record for record in found if record.question == question]
        if not mine:
            continue
        columns = [Column("first − second")]
        for metric in _metrics(mine):
            record = next(record for record in mine if record.metric == metric)
            columns.append(
                Column(metric, "right", "higher is better" if record.higher_is_better else "lower is better")
            )
        rows = []
        for pair in dict.fromkeys(record.method for record in mine):
            row = {record.metric: record for record in mine if record.method == pair}
            rows.append((pair.replace(" - ", " − "), *(_difference_cell(row.get(metric)) for metric in _metrics(mine))))
        blocks.append(table(columns, rows, caption=words[:1].upper() + words[1:]))
    if not blocks:
        return []
    tests = dict.fromkeys(record.test for record in found if record.test)
    told = (
        "Picture by picture, over pictures that both were scored on; with 95% intervals and p-values corrected for the "
    )
    told += "number of pairs. Green: better, red: worse, where the corrected p is at most 0.05."
    if any(cells.verdict(record) == cells.MAYBE for record in found):
        told += f" {cells.MAYBE[:1].upper()}{cells.MAYBE[1:]}: {cells.MAYBE_MEANS}."
    more = [details("How the tests were made", items(*tests))] if tests else []
    return [paragraph(told, quiet=True), *blocks, *more]


def people(evaluation: Evaluation) -> list[Html]:
    """Return each person's means by one metric, folded away; worst first. Nothing for a single person."""
    metric, lead = lead_metric(evaluation), lead_method(evaluation)
    if metric is None or lead is None:
        return []
    values: dict[str, dict[str, list[float]]] = {}
    for record in evaluation.pictures:
        value = record.values.get(metric.name, math.nan)
        if record.method in evaluation.methods and not math.isnan(value):
            values.setdefault(record.identity, {}).setdefault(record.method, []).append(value)
    if len(values) < 2:
        return []
    mean = {person: {m: math.fsum(found) / len(found) for m, found in of.items()} for person, of in values.items()}
    sign = 1 if metric.higher_is_better else -1
    order = sorted(mean, key=lambda person: (sign * mean[person].get(lead, math.inf), person))
    rows = [
        (
            person,
            Cell(str(max(map(len, values[person].values()))), sort=max(map(len, values[person].values()))),
            *(mean[person].get(method) for method in evaluation.methods),
        )
        for person in order[:MOST_ROWS]
    ]
    columns = [Column("person"), Column("pictures", "right"), *(Column(name, "right") for name in evaluation.methods)]
    more = f"; the {MOST_ROWS} worst of {len(order):,}, the CSV has all" if len(order) > MOST_ROWS else ""
    summary = f"{metric.name} of {len(order):,} people, by {lead} from the worst to the best{more}"
    return [details(summary, table(columns, rows, label=summary))]


def failures(evaluation: Evaluation) -> list[Html]:
    """Return what could not be restored or read, by reason, and one by one, folded away."""
    failed = [r for r in evaluation.pictures if r.status == "failed" and r.method in evaluation.methods]
    rows = [
        *((p.identity, p.name, "every method", REASONS[p.reason], p.note) for p in evaluation.unusable),
        *((r.identity, r.name, r.method, REASONS[r.reason], r.note) for r in failed),
    ]
    if not rows:
        return []
    reasons = list(dict.fromkeys(row[3] for row in rows))
    whom = list(dict.fromkeys(row[2] for row in rows))
    counted = [
        (method, *(Cell(str(n), sort=n) if (n := _times(rows, method, reason)) else None for reason in reasons))
        for method in whom
    ]
    columns = [Column("method"), *(Column(reason, "right") for reason in reasons)]
    more = f"; the first {MOST_ROWS} of {len(rows):,}, the CSV has all" if len(rows) > MOST_ROWS else ""
    each = table(("person", "picture", "method", "reason", "note"), rows[:MOST_ROWS], label="Failures one by one")
    return [table(columns, counted, label="Failures by reason"), details(f"One by one{more}", each)]


def _times(rows: Sequence[tuple[str, ...]], method: str, reason: str) -> int:
    return sum(row[2] == method and row[3] == reason for row in rows)


def _mean_cell(record: SummaryRecord | None, best: SummaryRecord | None) -> Cell:
    if record is None or record.mean is None:
        return Cell(None, hint="" if record is None else record.note)
    scored = f"n {record.n:,}" if record.n < record.n_pictures - record.n_unusable else ""
    bounds = _range(record)
    return Cell(
        cells.number(record.mean),
        below=", ".join(part for part in (bounds, scored) if part),
        sort=record.mean,
        style="best" if record is best else "",
        hint=f"{record.recipe}; {_counts(record)}. {record.interval}",
    )


def _difference_cell(record: SummaryRecord | None) -> Cell:
    if record is None or record.mean is None:
        return Cell(None)
    clear = record.p_adjusted is not None and record.p_adjusted <= cells.SIGNIFICANT
    better = (record.mean > 0) == record.higher_is_better
    tested = "" if record.p_adjusted is None else f"p {cells.p_value(record.p_adjusted)}"
    maybe = cells.MAYBE if cells.verdict(record) == cells.MAYBE else ""
    return Cell(
        _signed(record.mean),
        below=", ".join(part for part in (_range(record, sign=True), tested, maybe) if part),
        sort=record.mean,
        style=("best" if better else "worse") if clear else "",
        hint=f"{record.recipe}; {_counts(record)}",
    )


def _counts(record: SummaryRecord) -> str:
    return f"{counted(record.n, 'picture')} of {counted(record.n_identities, 'person')}"


def _range(record: SummaryRecord, *, sign: bool = False) -> str:
    if record.ci_low is None or record.ci_high is None:
        return ""
    write = _signed if sign else cells.number
    return f"{write(record.ci_low)} to {write(record.ci_high)}"


def _signed(value: float) -> str:
    return cells.signed(value).replace("-", "−")


def _restored_cell(records: Sequence[SummaryRecord]) -> Cell:
    text = cells.restored(records)
    done, total = (int(part) for part in text.split("/"))
    share = done / total if total else 0.0
    return Cell(f"{done:,} of {total:,}", below=f"{share:.1%}" if done < total else "", sort=share)


def _footnotes(records: Sequence[SummaryRecord]) -> list[Html]:
    lines = cells.footnotes(records, recipes=False)
    return [items(*(paragraph(line, quiet=True) for line in lines))] if lines else []


def _metrics(records: Sequence[SummaryRecord]) -> list[str]:
    return list(dict.fromkeys(record.metric for record in records))
