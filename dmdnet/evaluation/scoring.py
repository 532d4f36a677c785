"""Scoring one method's pictures of a batch: a value per picture and metric, and features for metrics of whole sets.

Shape suffixes: B batch, M metrics, D features, C channels, H W pixels, 4 boxes x 4 corners.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch
from dmdnet.errors import DataError
from dmdnet.evaluation.findings import Features
from dmdnet.evaluation.restoring import Restored
from dmdnet.metrics import Metric, MetricInput, MetricReferences, SetMetric


@dataclass(frozen=True)
class Scores:
    """Row by row.

    Attributes:
        values: metric -> value; NaN where the picture is not scored.
        features: set metric -> features, float32 (D,).
        unscored: metric -> why it refused the picture, for those that did.
    """

    values: tuple[dict[str, float], ...]
    features: tuple[Features, ...]
    unscored: tuple[dict[str, str], ...] = ()


def score(
    batch: FaceBatch,
    answer: Restored,
    metrics: Mapping[str, Metric],
    column: str = "",
    target_memo: dict[Hashable, Any] | None = None,
) -> Scores:
    """Return what the metrics find of one method's pictures.

    Pictures of status "no_references" are not scored; failed ones are, as what stands in for them. A metric that
    refuses a picture (a DataError: too small, for example) has no value for it, and the others have theirs.

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
    scored = [status != "no_references" for status in answer.status]
    nothing_B = torch.full((len(scored),), math.nan, dtype=torch.float64, device=inputs.pred_BCHW.device)
    columns, refused = {}, {}
    features: list[Features] = [{} for _ in scored]
    for name, metric in metrics.items():
        found, refused[name] = _attempt(metric, inputs) if inputs.has(metric.needs) else (nothing_B, {})
        if not isinstance(metric, SetMetric):
            columns[name] = found.double()
        elif inputs.has(metric.needs):
            _give(features, name, found, [use and row not in refused[name] for row, use in enumerate(scored)])
    # all metrics come from the device at once
    value_BM = torch.stack([*columns.values(), nothing_B], dim=1).tolist()
    return Scores(
        tuple(
            {name: value if use else math.nan for name, value in zip(columns, row, strict=False)}
            for row, use in zip(value_BM, scored, strict=True)
        ),
        tuple(features),
        tuple(
            {name: whys[row] for name, whys in refused.items() if use and row in whys} for row, use in enumerate(scored)
        ),
    )


def target_features(
    batch: FaceBatch, metrics: Mapping[str, Metric], target_memo: dict[Hashable, Any]
) -> tuple[Features, ...]:
    """Return row by row: set metric -> features of the ground truth, for those that compare with it and accept it."""
    inputs = metric_input(batch, batch.lq_BCHW, target_memo)
    rows: list[Features] = [{} for _ in range(len(batch))]
    for name, metric in metrics.items():
        if isinstance(metric, SetMetric) and "target" in metric.needs and inputs.has(metric.needs):
            found, refused = _attempt(metric.target_features, inputs)
            _give(rows, name, found, [row not in refused for row in range(len(batch))])
    return tuple(rows)


def _give(rows: Sequence[Features], name: str, found: Tensor, wanted: Sequence[bool]) -> None:
    """Put the features of the pictures that are wanted where they belong."""
    if any(wanted):
        features_BD = found.float().cpu().numpy()
        for row, features in enumerate(rows):
            if wanted[row]:
                features[name] = features_BD[row]


def _attempt(compute: Callable[[MetricInput], Tensor], inputs: MetricInput) -> tuple[Tensor, dict[int, str]]:
    """Return what a metric computes, row by row, NaN where it refuses the picture; and row -> why."""
    try:
        return compute(inputs), {}
    except DataError as error:
        if len(inputs.pred_BCHW) == 1:
            return torch.full((1,), math.nan, dtype=torch.float64, device=inputs.pred_BCHW.device), {0: str(error)}
    parts = [_attempt(compute, _row(inputs, row)) for row in range(len(inputs.pred_BCHW))]
    refused = {row: whys[0] for row, (_, whys) in enumerate(parts) if whys}
    full = next((found for found, whys in parts if not whys), parts[0][0])  # a refused one has no width of features
    found = torch.cat(
        [torch.full_like(full, math.nan) if row in refused else parts[row][0] for row in range(len(parts))]
    )
    return found, refused


def _row(inputs: MetricInput, row: int) -> MetricInput:
    """Return one picture, with nothing remembered of the batch that it was in."""

    def cut(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[row : row + 1]

    references = inputs.references
    if references is not None:
        references = MetricReferences(
            references.images_BRCHW[row : row + 1], references.mask_BR[row : row + 1], cut(references.landmarks_BR682)
        )
    return MetricInput(
        inputs.pred_BCHW[row : row + 1], cut(inputs.target_BCHW), cut(inputs.boxes_B44), cut(inputs.landmarks_B682),
        references=references,
    )  # fmt: skip


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


def _size(picture_BCHW: Tensor) -> str:
    return f"{picture_BCHW.shape[-1]}x{picture_BCHW.shape[-2]}"
