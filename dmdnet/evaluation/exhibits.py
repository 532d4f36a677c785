"""Pictures that a report shows: where a method did best, as usual, and worst. Their scores choose them, nobody else.

Where there are no scores (no target, weights of metrics that are missing), every so many-th picture is shown. They are
chosen when all scores are known, and made once more for the report: what a run before restored, or another rank, is as
good a choice as any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from dmdnet.evaluation.methods.base import Method
from dmdnet.evaluation.records import Evaluation, MethodInfo, MetricInfo, PictureRecord, Sample
from dmdnet.evaluation.samples import make_samples

Role = Literal["best", "median", "worst", "unscored"]
ROLES: tuple[Role, ...] = ("best", "median", "worst")


@dataclass(frozen=True)
class Choice:
    """A picture and why it is shown: its place among all pictures by `metric` of `method`, 1 being the best.

    Unscored: its place by name; `metric` is empty and `value` NaN.
    """

    role: Role
    identity: str
    name: str
    method: str
    metric: str
    value: float
    place: int
    of: int


@dataclass(frozen=True)
class Exhibit:
    """A choice with its pictures."""

    choice: Choice
    sample: Sample


def lead_method(evaluation: Evaluation) -> str | None:
    """Return the method whose pictures decide what is shown: the network with the most of the right references, else
    without, else the first other tool, else the input; None where nothing was scored."""
    infos = {info.name: info for info in evaluation.infos}
    known = [infos.get(name, MethodInfo(name, "network")) for name in evaluation.methods]
    return max(known, key=_weight).name if known else None


def lead_metric(evaluation: Evaluation) -> MetricInfo | None:
    """Return the metric by which pictures are chosen: the first in the options that scores pictures one by one."""
    return next((metric for metric in evaluation.metrics if not metric.of_set and not metric.unavailable), None)


def choose(evaluation: Evaluation, each: int = 2) -> tuple[Choice, ...]:
    """Return up to `each` pictures of every role, best first, each of another person while there are enough.

    Where nothing was scored, as many from the first to the last by name. Only pictures that the method restored itself
    are chosen: one that stands in for a failed one shows nothing.
    """
    method, metric = lead_method(evaluation), lead_metric(evaluation)
    if method is None:
        return ()
    restored = [record for record in evaluation.of_method(method) if record.status == "ok"]
    scored = [r for r in restored if metric is not None and not math.isnan(r.values.get(metric.name, math.nan))]
    if metric is None or not scored:
        return _unscored(sorted(restored, key=lambda record: record.key), each * len(ROLES))
    sign = -1 if metric.higher_is_better else 1
    scored.sort(key=lambda record: (sign * record.values[metric.name], record.key))
    candidates = {role: _candidates(role, len(scored)) for role in ROLES}
    taken: dict[Role, list[int]] = {role: [] for role in ROLES}
    people: set[str] = set()
    for role in ROLES * each:
        free = [index for index in candidates[role] if not any(index in indices for indices in taken.values())]
        chosen = next((index for index in free if scored[index].identity not in people), next(iter(free), None))
        if chosen is not None:
            people.add(scored[chosen].identity)
            taken[role].append(chosen)
    return tuple(
        _choice(role, scored[index], metric, index, len(scored)) for role in ROLES for index in sorted(taken[role])
    )


def make_exhibits(
    choices: Sequence[Choice],
    evaluation: Evaluation,
    dataset: Any,
    methods: Sequence[Method],
    device: torch.device | str = "cpu",
) -> tuple[Exhibit, ...]:
    """Restore the chosen pictures once more; see `make_samples`. One that cannot be read any more is left out."""
    keys = [(choice.identity, choice.name) for choice in choices]
    samples = make_samples(keys, evaluation, dataset, methods, device) if keys else ()
    made = {(sample.identity, sample.name): sample for sample in samples}
    return tuple(Exhibit(choice, made[key]) for choice, key in zip(choices, keys, strict=True) if key in made)


def _weight(info: MethodInfo) -> tuple[bool, bool, bool, float]:
    right = info.mode == "specific"
    given = math.inf if info.references is None else info.references
    return right, info.mode == "generic", info.kind == "folder", given if right else 0.0


def _candidates(role: Role, count: int) -> list[int]:
    """Return the places that may stand for a role, the best example first: only the third that it is of, so that
    looking for another person never gives a wrong example."""
    third = -(-count // 3)
    if role == "best":
        return list(range(third))
    if role == "worst":
        return list(range(count - 1, count - third - 1, -1))
    middle = sorted(range(count), key=lambda index: (abs(2 * index - count + 1), index))
    return middle[:third]


def _unscored(records: Sequence[PictureRecord], count: int) -> tuple[Choice, ...]:
    """Choose `count` records, as far from each other as they can be."""
    last = len(records) - 1
    indices = range(len(records)) if last < count else [round(step * last / (count - 1)) for step in range(count)]
    chosen = [(records[index], index + 1) for index in indices]
    return tuple(
        Choice("unscored", one.identity, one.name, one.method, "", math.nan, place, len(records))
        for one, place in chosen
    )


def _choice(role: Role, record: PictureRecord, metric: MetricInfo, index: int, count: int) -> Choice:
    value = record.values[metric.name]
    return Choice(role, record.identity, record.name, record.method, metric.name, value, index + 1, count)
