"""Run every mode over a set and score every picture: the one evaluation of test.py and of validation.

The work is split over ranks by the loader (each rank gets its own pictures); the records of all ranks are brought
together, each picture is counted once, and every rank returns the same `Evaluation`.

Shape suffixes: B batch, M metrics, C channels, H W pixels, 4 boxes x 4 corners.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch
from dmdnet.errors import DataError
from dmdnet.evaluation.gather import gather_all, rank
from dmdnet.evaluation.naming import picture_path
from dmdnet.evaluation.records import Evaluation, MetricInfo, PictureRecord, Sample
from dmdnet.evaluation.restoring import Restored, RestoreFunction, restore_batch
from dmdnet.evaluation.samples import choose_samples, take_samples
from dmdnet.images import to_hwc, write_image
from dmdnet.metrics import Metric, MetricInput, MetricReferences
from dmdnet.models.modes import MODES


@torch.no_grad()
def evaluate(
    restore: RestoreFunction,
    loader: Iterable[FaceBatch],
    *,
    metrics: Mapping[str, Metric],
    modes: Sequence[str] = MODES,
    set_name: str,
    out_dir: Path | None = None,
    save_images: bool = False,
    device: torch.device | str = "cpu",
    sheet_rows: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Restore and score a set.

    Args:
        restore: (batch on `device`, modes) -> mode -> float RGB [-1, 1] (B,3,H,W). Never asked for "input".
        loader: this rank's share of the set; a picture that several ranks have is counted once.
        metrics: short name -> metric. Without ground truth, those that need a target give no value.
        modes: "input" is the degraded picture as it is; modes with references are asked for where there are some.
        out_dir: where the restored pictures go, as `<out_dir>/<set>/<mode>/<identity>/<stem>.png`.
        save_images: whether to write them; each rank writes its own.
        sheet_rows: how many people to keep pictures of, for a comparison sheet.
        progress: called with the number of pictures after each batch.

    Raises:
        DataError: sizes that differ, two pictures with one name, a data set without pictures.
    """
    metrics = {name: metric.to(device).eval() for name, metric in metrics.items()}
    records: list[PictureRecord] = []
    samples: list[Sample] = []
    for host_batch in loader:
        batch = host_batch.to(device, non_blocking=True)
        restored = restore_batch(restore, batch, tuple(modes))
        target_memo: dict[Hashable, Any] = {}
        scores = {mode: score(batch, answer, metrics, mode, target_memo) for mode, answer in restored.items()}
        records += _records(batch, restored, scores)
        take_samples(samples, batch, restored, scores, sheet_rows)
        if save_images and out_dir is not None:
            _write_pictures(out_dir, set_name, batch, restored)
        if progress is not None:
            progress(len(batch))
    infos = tuple(MetricInfo(name, metric.recipe, metric.higher_is_better) for name, metric in metrics.items())
    pictures = _merge(records, set_name, tuple(modes))
    possible = {record.method for record in pictures if record.status != "no_references"}
    methods = tuple(mode for mode in modes if mode in possible)
    return Evaluation(set_name, methods, infos, pictures, choose_samples(samples, sheet_rows))


def score(
    batch: FaceBatch,
    answer: Restored,
    metrics: Mapping[str, Metric],
    mode: str = "",
    target_memo: dict[Hashable, Any] | None = None,
) -> list[dict[str, float]]:
    """Return metric name -> value for every picture; NaN where it is not scored."""
    gt_BCHW = batch.gt_BCHW
    if gt_BCHW is not None and gt_BCHW.shape != answer.pictures_BCHW.shape:
        raise DataError(
            f"{batch.names[0]}: {mode or 'the method'} gives {_size(answer.pictures_BCHW)} pixels and the ground truth "
            f"has {_size(gt_BCHW)}; give the data set one size for both"
        )
    inputs = metric_input(batch, answer.pictures_BCHW, {} if target_memo is None else target_memo)
    unscored_B = torch.full((len(batch),), math.nan, dtype=torch.float64, device=batch.lq_BCHW.device)
    columns = [metric(inputs) if inputs.has(metric.needs) else unscored_B for metric in metrics.values()]
    if not columns:
        return [{} for _ in range(len(batch))]
    value_BM = torch.stack(columns, dim=1).tolist()
    return [
        {name: math.nan if status == "no_references" else value for name, value in zip(metrics, row, strict=True)}
        for row, status in zip(value_BM, answer.status, strict=True)
    ]


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


def _records(
    batch: FaceBatch, restored: Mapping[str, Restored], scores: Mapping[str, list[dict[str, float]]]
) -> list[PictureRecord]:
    return [
        PictureRecord(
            method=mode,
            identity=batch.identities[index],
            name=batch.names[index],
            references=answer.references[index],
            status=answer.status[index],
            note=answer.notes[index],
            values=scores[mode][index],
        )
        for index in range(len(batch))
        for mode, answer in restored.items()
    ]


def _write_pictures(out_dir: Path, set_name: str, batch: FaceBatch, restored: Mapping[str, Restored]) -> None:
    """Write what the methods gave. A failed picture is not written: it would pass for a result."""
    for mode, answer in restored.items():
        pictures = to_hwc(answer.pictures_BCHW)
        for index, status in enumerate(answer.status):
            if status == "ok":
                path = picture_path(out_dir, set_name, mode, batch.identities[index], batch.names[index])
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, pictures[index])


def _merge(records: list[PictureRecord], set_name: str, modes: tuple[str, ...]) -> tuple[PictureRecord, ...]:
    """Return the records of all ranks, each picture once, in an order that does not depend on the ranks."""
    mine: set[tuple[str, str, str]] = set()
    doubled: tuple[str, str, str] | None = None
    for record in records:
        key = (*record.key, record.method)
        doubled = key if key in mine else doubled
        mine.add(key)
    merged: dict[tuple[str, str, str], PictureRecord] = {}
    # Each rank tells the others what is wrong with it before anyone raises: otherwise they would wait for it.
    for their_records, their_double in gather_all((records, doubled)):
        doubled = doubled or their_double
        for record in their_records:
            merged.setdefault((*record.key, record.method), record)
    if doubled is not None:
        raise DataError(
            f"set {set_name!r}: two pictures of identity {doubled[0]!r} are both named {doubled[1]!r}; "
            "records and files are kept by name: give them different names"
        )
    if not merged:
        raise DataError(f"set {set_name!r} has no pictures (rank {rank()}); check its root and its split")
    order = {mode: index for index, mode in enumerate(modes)}
    return tuple(sorted(merged.values(), key=lambda record: (*record.key, order[record.method])))


def _size(picture_BCHW: torch.Tensor) -> str:
    return f"{picture_BCHW.shape[-1]}x{picture_BCHW.shape[-2]}"
