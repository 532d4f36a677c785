"""Curves through the records of a summary: over the number of references, the severity of sets, the input's quality."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dmdnet.evaluation.statistics.summary_record import SummaryRecord

Over = Literal["references", "severity", "input_quality"]
X_LABELS: dict[Over, str] = {
    "references": "references given at most; 0: the same network without",
    "severity": "severity of the set",
    "input_quality": "the degraded input's own {}",
}


@dataclass(frozen=True)
class Point:
    """A point with its interval (None: there is none) over `n` pictures; `pictures` tells which."""

    x: float
    mean: float
    low: float | None
    high: float | None
    n: int
    pictures: str = ""


@dataclass(frozen=True)
class Line:
    """One method's points, x ascending."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Curve:
    """One plot. `set` is empty where each point is another set (over severity); `caution` says what keeps the points
    of a line, or lines, from being compared."""

    over: Over
    set: str
    metric: str
    recipe: str
    higher_is_better: bool
    x_label: str
    lines: tuple[Line, ...]
    caution: str = ""


def curves(records: Sequence[SummaryRecord]) -> tuple[Curve, ...]:
    """Return every curve that has a line of at least two points, over references first, then severity, then quality."""
    means = [record for record in records if record.kind != "difference" and record.mean is not None]
    whole = [record for record in means if record.of_whole_set]
    found: list[Curve] = []
    for records_of_one in _by_set_and_metric(whole):
        found += _curve("references", records_of_one[0].set, records_of_one, _reference_lines(records_of_one))
    for metric_and_recipe in dict.fromkeys((record.metric, record.recipe) for record in whole):
        mine = [r for r in whole if (r.metric, r.recipe) == metric_and_recipe and r.severity is not None]
        found += _curve("severity", "", mine, _lines((r.method, r.severity, r) for r in mine))
    for records_of_one in _by_set_and_metric([r for r in means if r.group_by == "input_quality"]):
        lines = _lines((r.method, _middle(r), r) for r in records_of_one)
        found += _curve("input_quality", records_of_one[0].set, records_of_one, lines)
    return tuple(found)


def _curve(over: Over, set_name: str, records: Sequence[SummaryRecord], lines: tuple[Line, ...]) -> list[Curve]:
    if not any(len(line.points) > 1 for line in lines):
        return []
    first = records[0]
    label = X_LABELS[over].format(first.group_metric)
    caution = _caution(lines) if over == "references" else ""
    return [Curve(over, set_name, first.metric, first.recipe, first.higher_is_better, label, lines, caution)]


def _caution(lines: Iterable[Line]) -> str:
    """Say it where points over numbers of references rest on different pictures, the set being one."""
    points = [point for line in lines for point in line.points]
    if len({(point.n, point.pictures) for point in points}) < 2:
        return ""
    counts = sorted({point.n for point in points})
    span = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]} each, but others"
    return (
        f"the points rest on different pictures ({span}; not every picture has references, or a "
        "value): compare the paired differences in place of the points"
    )


def _reference_lines(records: Sequence[SummaryRecord]) -> tuple[Line, ...]:
    """One line per network and mode, from the network without references at 0."""
    found: list[tuple[str, float | None, SummaryRecord]] = []
    for record in records:
        if record.mode not in ("specific", "wrong_person") or record.references is None:
            continue
        name = f"{record.entry} {record.mode}"
        if not any(line == name for line, _, _ in found):
            found += [(name, 0, r) for r in records if r.entry == record.entry and r.mode == "generic"]
        found.append((name, record.references, record))
    return _lines(found)


def _lines(points: Iterable[tuple[str, float | None, SummaryRecord]]) -> tuple[Line, ...]:
    """Group (line, x, record) by line; of two points at one x the first stays."""
    lines: dict[str, dict[float, Point]] = {}
    for name, x, record in points:
        if x is not None and record.mean is not None:
            point = Point(float(x), record.mean, record.ci_low, record.ci_high, record.n, record.pictures)
            lines.setdefault(name, {}).setdefault(point.x, point)
    return tuple(Line(name, tuple(of_x[x] for x in sorted(of_x))) for name, of_x in lines.items())


def _middle(record: SummaryRecord) -> float | None:
    if record.group_low is None or record.group_high is None:
        return None
    return (record.group_low + record.group_high) / 2


def _by_set_and_metric(records: Sequence[SummaryRecord]) -> list[list[SummaryRecord]]:
    found: dict[tuple[str, str], list[SummaryRecord]] = {}
    for record in records:
        found.setdefault((record.set, record.metric), []).append(record)
    return list(found.values())
