"""Charts of a report. A method has one colour and one mark on the whole page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.statistics.curves import Curve, Line
from dmdnet.evaluation.statistics.summary_record import SummaryRecord
from dmdnet.html import Html, Interval, Series, grid, interval_chart, line_chart, paragraph

OVER = {
    "references": "over the number of references",
    "severity": "over the severity of the set",
    "input_quality": "over the quality of the degraded input, in quarters of the set",
}


@dataclass(frozen=True)
class Kinds:
    """Which colour and mark a method has; the degraded input is grey."""

    order: tuple[str, ...]
    inputs: frozenset[str]

    @classmethod
    def of(cls, evaluations: Sequence[Evaluation]) -> Kinds:
        """Number the methods of all sets, without the input."""
        names = dict.fromkeys(method for evaluation in evaluations for method in evaluation.methods)
        infos = [info for evaluation in evaluations for info in evaluation.infos]
        inputs = frozenset(info.name for info in infos if info.kind == "input") or frozenset({"input"} & set(names))
        return cls(tuple(name for name in names if name not in inputs), inputs)

    def kind(self, name: str, place: int = 0) -> int:
        """Return the number of a method; `place` for lines that are none."""
        return self.order.index(name) if name in self.order else place


def mean_charts(records: Sequence[SummaryRecord], kinds: Kinds) -> list[Html]:
    """Return dots with intervals, a chart for each metric with a value."""
    found = [record for record in records if record.of_whole_set and record.pair is None]
    charts = []
    for metric in dict.fromkeys(record.metric for record in found):
        mine = [record for record in found if record.metric == metric and record.mean is not None]
        if len(mine) < 2:
            continue
        rows = [
            Interval(r.method, r.mean, r.ci_low, r.ci_high, r.method in kinds.inputs, kinds.kind(r.method))
            for r in mine
        ]
        better = "higher is better" if mine[0].higher_is_better else "lower is better"
        charts.append(interval_chart(rows, title=f"{metric}, {better}", x_label=mine[0].recipe))
    return [grid(*charts)] if charts else []


def curve_charts(curves: Sequence[Curve], kinds: Kinds) -> list[Html]:
    """Return the curves in groups of one x axis."""
    blocks: list[Html] = []
    for over, words in OVER.items():
        mine = [curve for curve in curves if curve.over == over]
        if mine:
            charts = (_chart(curve, kinds) for curve in mine)
            blocks += [paragraph(f"{words[:1].upper()}{words[1:]}; bars: 95% intervals over people.", quiet=True)]
            blocks += [grid(*charts)]
            cautions = {curve.caution: curve.metric for curve in reversed(mine) if curve.caution}
            blocks += [paragraph(f"{metric}: {caution}.") for caution, metric in cautions.items()]
    return blocks


def _chart(curve: Curve, kinds: Kinds) -> Html:
    better = "higher is better" if curve.higher_is_better else "lower is better"
    series = [_series(line, index, kinds) for index, line in enumerate(curve.lines)]
    return line_chart(series, title=f"{curve.metric}, {better}", x_label=curve.x_label, bars=True)


def _series(line: Line, index: int, kinds: Kinds) -> Series:
    points = line.points
    return Series(
        line.name,
        [point.x for point in points],
        [point.mean for point in points],
        [point.low for point in points],
        [point.high for point in points],
        quiet=line.name in kinds.inputs,
        kind=kinds.kind(line.name, index),
    )
