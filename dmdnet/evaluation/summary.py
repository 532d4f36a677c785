"""From picture records to the records of `summary.json`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dmdnet.evaluation.records import Evaluation, MetricInfo, PictureRecord
from dmdnet.evaluation.statistics import LEVEL, RESAMPLES, Interval, bootstrap_mean
from dmdnet.evaluation.summary_record import SummaryRecord

DIFFERENCES = (
    ("generic", "input"),  # what restoring is worth
    ("specific", "input"),
    ("specific", "generic"),  # what references are worth
    ("specific", "wrong_person"),  # how much of that is the right person's
)


def summarise(evaluation: Evaluation, *, seed: int = 0) -> list[SummaryRecord]:
    """Return the means of every method and metric, then the differences of the pairs of methods above."""
    records = [
        _mean_record(evaluation, method, metric, seed) for method in evaluation.methods for metric in evaluation.metrics
    ]
    for first, second in DIFFERENCES:
        if first in evaluation.methods and second in evaluation.methods:
            records += [_difference_record(evaluation, first, second, metric, seed) for metric in evaluation.metrics]
    return records


def _mean_record(evaluation: Evaluation, method: str, metric: MetricInfo, seed: int) -> SummaryRecord:
    pictures = evaluation.of_method(method)
    values = [picture.values.get(metric.name, math.nan) for picture in pictures]
    return _record("mean", evaluation, method, metric, pictures, values, seed)


def _difference_record(evaluation: Evaluation, first: str, second: str, metric: MetricInfo, seed: int) -> SummaryRecord:
    """Pair by picture: only pictures scored for both methods count."""
    others = {picture.key: picture for picture in evaluation.of_method(second)}
    pictures = [picture for picture in evaluation.of_method(first) if picture.key in others]
    values = [
        picture.values.get(metric.name, math.nan) - others[picture.key].values.get(metric.name, math.nan)
        for picture in pictures
    ]
    return _record("difference", evaluation, f"{first} - {second}", metric, pictures, values, seed, others)


def _record(
    kind: str,
    evaluation: Evaluation,
    method: str,
    metric: MetricInfo,
    pictures: Sequence[PictureRecord],
    values: Sequence[float],
    seed: int,
    others: dict[tuple[str, str], PictureRecord] | None = None,
) -> SummaryRecord:
    failed = [
        picture.status == "failed" or (others is not None and others[picture.key].status == "failed")
        for picture in pictures
    ]
    total = len({picture.key for picture in evaluation.pictures})
    covered = sum(not bad and not math.isnan(value) for bad, value in zip(failed, values, strict=True))
    interval = bootstrap_mean(values, [picture.identity for picture in pictures], seed=seed)
    return SummaryRecord(
        kind="mean" if kind == "mean" else "difference",
        set=evaluation.set_name,
        method=method,
        metric=metric.name,
        recipe=metric.recipe,
        higher_is_better=metric.higher_is_better,
        mean=_number(interval.mean),
        ci_low=_number(interval.low),
        ci_high=_number(interval.high),
        n=interval.n,
        n_identities=interval.n_identities,
        n_pictures=total,
        n_failed=sum(failed),
        coverage=covered / total if total else 0.0,
        interval=_describe(interval, seed),
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _describe(interval: Interval, seed: int) -> str:
    if math.isnan(interval.low):
        return "none: fewer than two identities"
    return f"{LEVEL:.0%} percentile bootstrap over identities, {RESAMPLES} resamples, Philox seed {seed}"
