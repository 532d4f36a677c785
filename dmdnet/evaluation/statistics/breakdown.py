"""A set in parts: quarters by how bad the degraded input is, and people.

Shape: P pictures of `Scores`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dmdnet.evaluation.records import MetricInfo
from dmdnet.evaluation.statistics.scores import Scores
from dmdnet.evaluation.statistics.summary_record import GroupBy

QUARTERS = ("hardest quarter", "second hardest", "second easiest", "easiest quarter")
FEWEST_IN_A_QUARTER = 4


@dataclass(frozen=True)
class Part:
    """Some pictures of a set.

    Attributes:
        rows_P: which.
        n_pictures: how many, those included that nobody could be scored on.
        by, name, metric, low, high: what it was divided by, and where the part lies; empty and None for the whole set.
    """

    rows_P: np.ndarray
    n_pictures: int
    by: GroupBy = ""
    name: str = ""
    metric: str = ""
    low: float | None = None
    high: float | None = None


def whole(scores: Scores) -> Part:
    """Return all pictures of the set."""
    return Part(np.ones(len(scores.keys), dtype=bool), scores.evaluation.n_pictures)


def quarters(scores: Scores, metric: str | None = None) -> list[Part]:
    """Divide the pictures in four by the degraded input's own value, hardest first.

    The parts do not depend on any method, so that methods can be compared within one. Equal values stay together.
    Fewer than four pictures a quarter are not worth a mean: then there are no parts.

    Args:
        metric: by which; None: by the first that has a value for enough pictures.
    """
    inputs = [info.name for info in scores.infos.values() if info.kind == "input"]
    candidates = [info for info in _of_pictures(scores.evaluation.metrics) if metric in (None, info.name)]
    for method in inputs:
        for info in candidates:
            parts = _divide(scores.values(method, info.name), info)
            if parts:
                return parts
    return []


def _of_pictures(metrics: Sequence[MetricInfo]) -> list[MetricInfo]:
    return [info for info in metrics if not info.of_set and not info.unavailable]


def _divide(value_P: np.ndarray, metric: MetricInfo) -> list[Part]:
    scored = value_P[~np.isnan(value_P)]
    if len(scored) < FEWEST_IN_A_QUARTER * len(QUARTERS) or scored.min() == scored.max():
        return []
    edges = np.quantile(scored, (0.25, 0.5, 0.75))
    quarter_P = np.searchsorted(edges, value_P, side="right")  # NaN sorts last: taken out below
    parts = []
    for number, name in enumerate(QUARTERS):
        rows_P = (quarter_P == (number if metric.higher_is_better else 3 - number)) & ~np.isnan(value_P)
        if rows_P.any():
            low, high = float(value_P[rows_P].min()), float(value_P[rows_P].max())
            parts.append(Part(rows_P, int(rows_P.sum()), "input_quality", name, metric.name, low, high))
    return parts
