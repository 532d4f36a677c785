"""The first section: which methods, on which sets, and what a reader must know before any number."""

from __future__ import annotations

from collections.abc import Sequence

from dmdnet.evaluation.records import Evaluation, MethodInfo
from dmdnet.evaluation.statistics.summary_record import SummaryRecord
from dmdnet.html import Cell, Column, Html, code, escape, items, join, link, note, paragraph, table

KINDS = {"input": "the degraded picture", "network": "network", "folder": "results of another tool"}
MODES = {
    "generic": "without references",
    "specific": "with references of the person",
    "wrong_person": "with references of somebody else",
}


def overview(evaluations: Sequence[Evaluation], records: Sequence[SummaryRecord]) -> list[Html]:
    """Return cautions, the table of sets and the table of methods."""
    return [*_cautions(evaluations, records), _sets(evaluations), _methods(evaluations)]


def set_anchor(number: int) -> str:
    """Return the anchor of the section of the set with a number, from 1."""
    return f"set-{number}"


def described(info: MethodInfo) -> str:
    """Return in words what gives a method's pictures."""
    if info.kind != "network":
        return KINDS[info.kind]
    words = MODES.get(info.mode, info.mode or KINDS["network"])
    return words if info.references is None else f"{words}, at most {info.references}"


def _sets(evaluations: Sequence[Evaluation]) -> Html:
    graded = any(evaluation.severity is not None for evaluation in evaluations)
    rows = []
    for number, evaluation in enumerate(evaluations, start=1):
        identities = {record.identity for record in evaluation.pictures}
        identities |= {picture.identity for picture in evaluation.unusable}
        row = [
            Cell(link(evaluation.set_name, f"#{set_anchor(number)}"), sort=evaluation.set_name),
            Cell(f"{evaluation.n_pictures:,}", sort=evaluation.n_pictures),
            Cell(f"{len(identities):,}", sort=len(identities)),
            Cell(f"{len(evaluation.unusable):,}", sort=len(evaluation.unusable)),
        ]
        hard = None if evaluation.severity is None else Cell(f"{evaluation.severity:g}", sort=evaluation.severity)
        rows.append([*row, *([hard] if graded else [])])
    columns = [
        Column("set"),
        Column("pictures", "right"),
        Column("people", "right"),
        Column("unreadable", "right", hint="pictures that no method could be scored on; they count as not covered"),
        *([Column("severity", "right", hint="as the option file gives it")] if graded else []),
    ]
    return table(columns, rows, caption="Sets")


def _methods(evaluations: Sequence[Evaluation]) -> Html:
    infos = {info.name: info for evaluation in evaluations for info in evaluation.infos}
    names = dict.fromkeys(method for evaluation in evaluations for method in evaluation.methods)
    rows = []
    for name in names:
        info = infos.get(name)
        rows.append((name, "" if info is None else described(info), _source(info)))
    columns = ("method", "its pictures", Column("from", below="SHA-256 of weights: see the end"))
    return table(columns, rows, caption="Methods", sortable=False)


def _source(info: MethodInfo | None) -> Html:
    return code(info.source) if info is not None and info.source else escape("–")


def _cautions(evaluations: Sequence[Evaluation], records: Sequence[SummaryRecord]) -> list[Html]:
    """Return what would make the numbers say something else than they seem to."""
    lines: list[Html] = []
    missing = {
        metric.name: metric.unavailable
        for evaluation in evaluations
        for metric in evaluation.metrics
        if metric.unavailable
    }
    lines += [join(code(name), " was not computed: ", why) for name, why in missing.items()]
    for evaluation in evaluations:
        failed = {method: _failed(evaluation, method) for method in evaluation.methods}
        lost = [f"{method} on {count}" for method, count in failed.items() if count]
        if lost:
            how = "scored as the degraded input" if evaluation.failed_as == "input" else "left out of its means"
            lines.append(
                escape(
                    f"{evaluation.set_name}: of {evaluation.n_pictures:,} pictures, methods failed: {', '.join(lost)}. "
                    f"Where a method failed, the picture is {how}."
                )
            )
        if evaluation.unusable:
            lost_to_all = f"{len(evaluation.unusable):,} of {evaluation.n_pictures:,} pictures cannot be read"
            lines.append(escape(f"{evaluation.set_name}: {lost_to_all}; they count as not covered."))
    few = {
        record.set: record.note
        for record in records
        if record.note.startswith("fewer than") and record.of_whole_set and not record.pair and record.kind != "set"
    }
    lines += [escape(f"{name}: {text}.") for name, text in few.items()]
    if not lines:
        return [paragraph("Every method restored every picture, and every metric that was asked for was computed.")]
    return [note(items(*lines))]


def _failed(evaluation: Evaluation, method: str) -> int:
    return sum(record.status == "failed" for record in evaluation.of_method(method))
