"""From picture records to the records of `summary.json`: means, numbers of sets, differences, and parts of sets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dmdnet.config.options import BenchmarkOptions
from dmdnet.errors import ConfigError
from dmdnet.evaluation.records import Evaluation, MetricInfo
from dmdnet.evaluation.statistics.bootstrap import FEW_IDENTITIES, LEVEL, RESAMPLES, Interval, bootstrap_mean
from dmdnet.evaluation.statistics.breakdown import Part, quarters, whole
from dmdnet.evaluation.statistics.pairs import Pair, check_pairs, pairs_of
from dmdnet.evaluation.statistics.permutation import PERMUTATIONS, PermutationTest, holm, permutation_test
from dmdnet.evaluation.statistics.scores import Scores
from dmdnet.evaluation.statistics.summary_record import SummaryRecord
from dmdnet.typed import nearest

FEW_NOTE = f"fewer than {FEW_IDENTITIES} people: the interval is too narrow"


@dataclass(frozen=True)
class SummarySettings:
    """How an evaluation is summed up.

    Attributes:
        seed: of every generator.
        resamples: of the bootstrap; 0 for no intervals.
        permutations: of the test of a difference, where not all can be tried; 0 for no tests.
        pairs: differences to take beside those that `pairs_of` chooses.
        quarters: whether to divide the set by the degraded input's own quality.
        difficulty: the metric by which; None: the first.
    """

    seed: int = 0
    resamples: int = RESAMPLES
    permutations: int = PERMUTATIONS
    pairs: tuple[tuple[str, str], ...] = ()
    quarters: bool = True
    difficulty: str | None = None

    @classmethod
    def of_options(cls, benchmark: BenchmarkOptions, seed: int) -> SummarySettings:
        """Return the settings of an option file."""
        return cls(
            seed=seed,
            resamples=benchmark.bootstrap,
            permutations=benchmark.permutations,
            pairs=benchmark.pairs,
            difficulty=benchmark.difficulty,
        )

    def check(self, columns: Iterable[str], metrics: Iterable[str]) -> None:
        """Raise a ConfigError for a pair or a difficulty that names no column or metric: before hours, not after.

        Args:
            metrics: names of those that score pictures one by one.
        """
        check_pairs(self.pairs, columns)
        known = list(metrics)
        if self.difficulty is not None and self.difficulty not in known:
            raise ConfigError(
                f"benchmark.difficulty: no metric {self.difficulty!r} in val.metrics scores pictures one by one; "
                f"{nearest(self.difficulty, known)}"
            )


MEANS_ONLY = SummarySettings(resamples=0, permutations=0, quarters=False)


def summarise(evaluation: Evaluation, settings: SummarySettings | None = None) -> list[SummaryRecord]:
    """Return the means of every method and metric, then the differences of pairs of methods, then those of quarters.

    A metric that could not be computed has a record for every method, with `mean` None and the remedy in `note`.
    P-values are corrected for the number of pairs, within one set and one metric (Holm).
    """
    summary = _Summary(evaluation, settings or SummarySettings())
    all_of_it = whole(summary.scores)
    pairs = pairs_of(summary.scores.infos, summary.settings.pairs)
    compared = [metric for metric in evaluation.metrics if not metric.of_set and not metric.unavailable]
    records = [
        summary.mean(method, metric, all_of_it) for method in evaluation.methods for metric in evaluation.metrics
    ]
    differences = [summary.difference(pair, metric, all_of_it) for pair in pairs for metric in compared]
    records += _corrected(differences)
    for part in quarters(summary.scores, summary.settings.difficulty) if summary.settings.quarters else ():
        records += [summary.mean(method, metric, part) for method in evaluation.methods for metric in compared]
        shown = [pair for pair in pairs if pair.question in ("references", "asked")]
        records += [summary.difference(pair, metric, part) for pair in shown for metric in compared]
    return records


class _Summary:
    """Makes the records of one evaluation."""

    def __init__(self, evaluation: Evaluation, settings: SummarySettings) -> None:
        self.evaluation = evaluation
        self.settings = settings
        self.scores = Scores(evaluation)

    def mean(self, method: str, metric: MetricInfo, part: Part) -> SummaryRecord:
        info = self.scores.infos[method]
        given = self.scores.references_given(method)[part.rows_P]
        asked = given[~np.isnan(given)]
        known = {
            "entry": info.entry,
            "mode": info.mode,
            "references": info.references,
            "references_given": float(asked.mean()) if asked.any() else None,
        }
        if metric.of_set:
            return self._of_set(method, metric, part, known)
        if metric.unavailable:
            return self._record("mean", (method,), metric, part, np.full(int(part.rows_P.sum()), math.nan), known)
        value_P = self.scores.values(method, metric.name)[part.rows_P]
        return self._record("mean", (method,), metric, part, value_P, known)

    def difference(self, pair: Pair, metric: MetricInfo, part: Part) -> SummaryRecord:
        """Pair by picture: only pictures scored for both methods count."""
        first, second = (self.scores.values(method, metric.name) for method in (pair.first, pair.second))
        value_P = (first - second)[part.rows_P]
        facts: dict[str, Any] = {"pair": (pair.first, pair.second), "question": pair.question}
        if not part.by and self.settings.permutations:
            test = permutation_test(
                value_P,
                self._identities(part),
                seed=self.settings.seed,
                permutations=self.settings.permutations,
            )
            facts |= {"p_value": _number(test.p_value), "test": _describe_test(test, self.settings.seed)}
        return self._record("difference", (pair.first, pair.second), metric, part, value_P, facts)

    def _of_set(self, method: str, metric: MetricInfo, part: Part, facts: dict[str, Any]) -> SummaryRecord:
        """A number of the whole set counts the pictures that features were taken of."""
        found = None if metric.unavailable else self.evaluation.set_values.get((method, metric.name))
        dropped = self.scores.failed(method) if self.evaluation.failed_as == "drop" else np.zeros_like(part.rows_P)
        asked_P = np.array([record is not None for record in self.scores.records(method)])
        refused_P = np.array([bool(why) for why in self.scores.refused(method, metric.name)])
        used_P = asked_P & ~self.scores.without_references(method) & ~dropped & ~refused_P
        if found is None or math.isnan(found.value):
            used_P = np.zeros_like(used_P)
        record = self._record(
            "set", (method,), metric, part, np.where(used_P, 0.0, math.nan)[part.rows_P], facts, interval=False
        )
        if found is None:
            return record
        return replace(
            record,
            mean=_number(found.value),
            ci_low=found.low,
            ci_high=found.high,
            interval=found.interval or "none: the number is of all pictures together",
            note=_joined(found.note, self._refused((method,), metric, part)),
        )

    def _record(
        self,
        kind: Any,
        methods: tuple[str, ...],
        metric: MetricInfo,
        part: Part,
        value_P: np.ndarray,
        facts: dict[str, Any],
        *,
        interval: bool = True,
    ) -> SummaryRecord:
        scores, settings = self.scores, self.settings
        failed = np.logical_or.reduce([scores.failed(method) for method in methods])[part.rows_P]
        no_references = np.logical_or.reduce([scores.without_references(method) for method in methods])[part.rows_P]
        reasons = [reason for method in methods for reason in scores.reasons(method)[part.rows_P] if reason]
        undefined = np.isnan(value_P) & ~no_references & ~(failed & (self.evaluation.failed_as == "drop"))
        undefined &= not metric.unavailable
        covered = int((~failed & ~np.isnan(value_P)).sum())
        found = bootstrap_mean(
            value_P, self._identities(part), seed=settings.seed, resamples=settings.resamples if interval else 0
        )
        return SummaryRecord(
            kind=kind,
            set=self.evaluation.set_name,
            method=" - ".join(methods),
            metric=metric.name,
            recipe=metric.recipe,
            higher_is_better=metric.higher_is_better,
            mean=_number(found.mean) if interval else None,
            ci_low=_number(found.low),
            ci_high=_number(found.high),
            n=found.n,
            n_identities=found.n_identities,
            n_pictures=part.n_pictures,
            n_failed=int(failed.sum()),
            coverage=covered / part.n_pictures if part.n_pictures else 0.0,
            interval=_describe(found, settings),
            failures=dict(sorted(Counter(reasons).items())),
            scored_as=self.evaluation.failed_as,
            n_no_references=int(no_references.sum()),
            n_undefined=int(undefined.sum()),
            n_unusable=0 if part.by else len(self.evaluation.unusable),
            severity=self.evaluation.severity,
            published=self.evaluation.published,
            group_by=part.by,
            group=part.name,
            group_metric=part.metric,
            group_low=part.low,
            group_high=part.high,
            pictures=scores.digest(part.rows_P, value_P),
            weights=self._weights(methods, metric),
            seed=settings.seed,
            note=_note(metric, found, no_references.all(), self._refused(methods, metric, part)),
            **facts,
        )

    def _refused(self, methods: tuple[str, ...], metric: MetricInfo, part: Part) -> str:
        """Say how many pictures the metric refused, and why it did the first."""
        whys = [
            why
            for method in methods
            for why, here in zip(self.scores.refused(method, metric.name), part.rows_P.tolist(), strict=True)
            if why and here
        ]
        return f"{len(whys)} refused, the first: {whys[0]}" if whys else ""

    def _weights(self, methods: tuple[str, ...], metric: MetricInfo) -> dict[str, str]:
        infos = [self.scores.infos[method] for method in methods]
        found = {f"{info.entry or info.name}/{Path(info.source).name}": info.sha256 for info in infos if info.sha256}
        return found | {f"{metric.name}/{file}": sha256 for file, sha256 in metric.weights.items()}

    def _identities(self, part: Part) -> list[str]:
        return [person for person, here in zip(self.scores.identities, part.rows_P.tolist(), strict=True) if here]


def _corrected(records: Sequence[SummaryRecord]) -> list[SummaryRecord]:
    """Return the differences with p-values for as many pairs as a metric was tested on."""
    found = list(records)
    for metric in dict.fromkeys(record.metric for record in records):
        mine = [index for index, record in enumerate(records) if record.metric == metric and record.p_value is not None]
        adjusted = holm([records[index].p_value or 0.0 for index in mine])
        for index, value in zip(mine, adjusted, strict=True):
            text = f"{records[index].test}; adjusted for {len(mine)} pairs of the set and metric (Holm)"
            found[index] = replace(records[index], p_adjusted=value, test=text)
    return found


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _note(metric: MetricInfo, found: Interval, no_references: bool, refused: str) -> str:
    if metric.unavailable:
        return metric.unavailable
    if found.n == 0:
        if no_references:
            return "no picture has references"
        if refused:
            return refused
        lacks = "the set lacks what the metric needs (ground truth, landmarks or references)"
        return "no picture has a value: " + ", or ".join(part for part in (metric.undefined, lacks) if part)
    few = 2 <= found.n_identities < FEW_IDENTITIES and not math.isnan(found.low)
    return _joined(refused, FEW_NOTE if few else "")


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _describe(found: Interval, settings: SummarySettings) -> str:
    if found.n_identities < 2:
        return "none: fewer than two identities"
    if math.isnan(found.low):
        return "none"
    return (
        f"{LEVEL:.0%} percentile bootstrap over identities, {settings.resamples} resamples, Philox seed {settings.seed}"
    )


def _describe_test(test: PermutationTest, seed: int) -> str:
    text = test.describe(seed)
    if test.n_identities and test.smallest > 0.05:
        text += f"; so few people give no value below {test.smallest:.2g}"
    return text
