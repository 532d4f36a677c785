"""The CSV files of an evaluation: every picture, and every person."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

from dmdnet.evaluation.records import Evaluation, PictureRecord

_PICTURE_COLUMNS = ("set", "identity", "name", "method", "status", "references", "note", "reason")
_IDENTITY_COLUMNS = ("set", "identity", "method", "pictures", "failed", "no_references")


def pictures_csv(evaluation: Evaluation) -> str:
    """Return one row per picture and method; an empty cell was not scored.

    A picture that no method could be scored on has one row, without a method and with the status "unusable".
    """
    names = _metrics(evaluation)
    rows: list[list[object]] = []
    for picture in evaluation.pictures:
        if picture.method in evaluation.methods:
            start = [evaluation.set_name, picture.identity, picture.name, picture.method, picture.status]
            values = [_cell(picture.values.get(name, math.nan)) for name in names]
            rows.append([*start, picture.references, picture.note, picture.reason, *values])
    for lost in evaluation.unusable:
        start = [evaluation.set_name, lost.identity, lost.name, "", "unusable", "", lost.note, lost.reason]
        rows.append([*start, *[""] * len(names)])
    return _text((*_PICTURE_COLUMNS, *names), rows)


def identities_csv(evaluation: Evaluation) -> str:
    """Return one row per person and method: the means over the person's scored pictures, and of how many each is.

    Pictures that a method failed on count as everywhere else: as the degraded input, or not at all.
    """
    names = _metrics(evaluation)
    groups: dict[tuple[str, str], list[PictureRecord]] = {}
    for picture in evaluation.pictures:
        if picture.method in evaluation.methods:
            groups.setdefault((picture.identity, picture.method), []).append(picture)
    rows: list[list[object]] = []
    for (identity, method), pictures in groups.items():
        counts = [sum(picture.status == status for picture in pictures) for status in ("failed", "no_references")]
        row: list[object] = [evaluation.set_name, identity, method, len(pictures), *counts]
        for name in names:
            values = [p.values.get(name, math.nan) for p in pictures if _counts(p, evaluation)]
            scored = [value for value in values if not math.isnan(value)]
            row += [_cell(math.fsum(scored) / len(scored)) if scored else "", len(scored)]
        rows.append(row)
    return _text((*_IDENTITY_COLUMNS, *(column for name in names for column in (name, f"{name}_n"))), rows)


def _counts(picture: PictureRecord, evaluation: Evaluation) -> bool:
    return picture.status == "ok" or (picture.status == "failed" and evaluation.failed_as == "input")


def _metrics(evaluation: Evaluation) -> list[str]:
    return [metric.name for metric in evaluation.metrics if not metric.of_set and not metric.unavailable]


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
