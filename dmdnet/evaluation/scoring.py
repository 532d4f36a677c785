"""Scoring one method's pictures of a batch: a value per picture and metric, and features for metrics of whole sets.

Shape suffixes: B batch, M metrics, D features, C channels, H W pixels, 4 boxes x 4 corners.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch
from dmdnet.errors import DataError
from dmdnet.evaluation.restoring import Restored
from dmdnet.metrics import Metric, MetricInput, MetricReferences, SetMetric


@dataclass(frozen=True)
class Scores:
    """Row by row: metric -> value (NaN where the picture is not scored), and set metric -> features float32 (D,)."""

    values: tuple[dict[str, float], ...]
    features: tuple[dict[str, np.ndarray], ...]


def score(
    batch: FaceBatch,
    answer: Restored,
    metrics: Mapping[str, Metric],
    column: str = "",
    target_memo: dict[Hashable, Any] | None = None,
) -> Scores:
    """Return what the metrics find of one method's pictures.

    Pictures of status "no_references" are not scored; failed ones are, as what stands in for them.

    Raises:
        DataError: the pictures have another size than the ground truth.
    """
    gt_BCHW = batch.gt_BCHW
    if gt_BCHW is not None and gt_BCHW.shape != answer.pictures_BCHW.shape:
        raise DataError(
            f"{batch.names[0]}: {column or 'the method'} gives {_size(answer.pictures_BCHW)} pixels and the ground "
            f"truth has {_size(gt_BCHW)}; give the data set one size for both"
        )
    inputs = metric_input(batch, answer.pictures_BCHW, {} if target_memo is None else target_memo)
    per_picture = {name: metric for name, metric in metrics.items() if not isinstance(metric, SetMetric)}
    scored = [status != "no_references" for status in answer.status]
    values = _values(inputs, per_picture)
    features = {
        name: _rows(metric(inputs)) for name, metric in metrics.items()
        if isinstance(metric, SetMetric) and inputs.has(metric.needs)
    }  # fmt: skip
    return Scores(
        tuple({name: row[name] if use else math.nan for name in row} for row, use in zip(values, scored, strict=True)),
        tuple({name: found[row] for name, found in features.items()} if use else {} for row, use in enumerate(scored)),
    )


def target_features(
    batch: FaceBatch, metrics: Mapping[str, Metric], target_memo: dict[Hashable, Any]
) -> tuple[dict[str, np.ndarray], ...]:
    """Return row by row: set metric -> features of the ground truth, for those that compare with it."""
    inputs = metric_input(batch, batch.lq_BCHW, target_memo)
    found = {
        name: _rows(metric.target_features(inputs)) for name, metric in metrics.items()
        if isinstance(metric, SetMetric) and "target" in metric.needs and inputs.has(metric.needs)
    }  # fmt: skip
    return tuple({name: features[row] for name, features in found.items()} for row in range(len(batch)))


def metric_input(batch: FaceBatch, pred_BCHW: Tensor, target_memo: dict[Hashable, Any]) -> MetricInput:
    """Return what metrics may look at: one method's pictures, and what the batch has beside them.

    Without ground truth, boxes and landmarks are those of the degraded picture.
    """
    boxes_B44 = batch.lq_boxes_B44 if batch.gt_boxes_B44 is None else batch.gt_boxes_B44
    landmarks_B682 = batch.lq_landmarks_B682 if batch.gt_BCHW is None else batch.gt_landmarks_B682
    references = None
    if batch.references is not None:
        theirs = batch.references
        references = MetricReferences(theirs.images_BRCHW, theirs.mask_BR, theirs.landmarks_BR682)
    return MetricInput(
        pred_BCHW, batch.gt_BCHW, boxes_B44, landmarks_B682, references=references, target_memo=target_memo
    )


def _values(inputs: MetricInput, metrics: Mapping[str, Metric]) -> list[dict[str, float]]:
    rows = len(inputs.pred_BCHW)
    unscored_B = torch.full((rows,), math.nan, dtype=torch.float64, device=inputs.pred_BCHW.device)
    columns = [metric(inputs) if inputs.has(metric.needs) else unscored_B for metric in metrics.values()]
    if not columns:
        return [{} for _ in range(rows)]
    value_BM = torch.stack([column.double() for column in columns], dim=1).tolist()
    return [dict(zip(metrics, row, strict=True)) for row in value_BM]


def _rows(features_BD: Tensor) -> np.ndarray:
    found: np.ndarray = features_BD.float().cpu().numpy()
    return found


def _size(picture_BCHW: Tensor) -> str:
    return f"{picture_BCHW.shape[-1]}x{picture_BCHW.shape[-2]}"
