"""Run every method over a set and score every picture: the one evaluation of test.py and of validation.

The work is split over ranks by the loader (each rank gets its own pictures); the records of all ranks are brought
together, each picture is counted once, and every rank returns the same `Evaluation`.

Shape suffixes: B batch, C channels, H W pixels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from dmdnet.data.batch import FaceBatch
from dmdnet.evaluation.findings import Features, Findings, Key, Merged, merge
from dmdnet.evaluation.gather import rank
from dmdnet.evaluation.methods.base import Method
from dmdnet.evaluation.methods.outputs import OutputsMethod
from dmdnet.evaluation.naming import picture_path
from dmdnet.evaluation.records import Evaluation, MetricInfo, PictureRecord, Sample, UnusablePicture
from dmdnet.evaluation.restoring import Restored, RestoreFunction
from dmdnet.evaluation.samples import choose_samples, take_samples
from dmdnet.evaluation.scoring import Scores, score, target_features
from dmdnet.files import make_folder
from dmdnet.images import to_hwc, write_image
from dmdnet.metrics import Metric, SetMetric
from dmdnet.metrics.base import Unavailable
from dmdnet.models.modes import MODES

logger = logging.getLogger(__name__)


class Journal(Protocol):
    """Where findings are written down as they are made."""

    def write(self, record: PictureRecord, features: Features) -> None:
        """Keep what was found of one picture and column."""

    def write_target(self, key: Key, features: Features) -> None:
        """Keep the features of a picture's ground truth."""

    def write_unusable(self, picture: UnusablePicture) -> None:
        """Keep that a picture cannot be loaded."""

    def flush(self) -> None:
        """Make sure that what was written is there when this process is killed; called after each batch."""


@dataclass(frozen=True)
class Before:
    """What a run before has left of a set.

    Attributes:
        kept: its findings; of use on the first rank only.
        columns: for each batch of this rank's loader, the columns that are still to be made.
    """

    kept: Findings
    columns: Sequence[Sequence[str]]


@dataclass(frozen=True)
class SetOptions:
    """What the reports say of a set, and how failures in it are scored."""

    name: str
    severity: float | None = None
    published: str | None = None
    failed_as: Literal["input", "drop"] = "input"


def evaluate(
    restore: RestoreFunction,
    loader: Iterable[FaceBatch],
    *,
    metrics: Mapping[str, Metric],
    modes: Sequence[str] = MODES,
    set_name: str,
    **options: Any,
) -> Evaluation:
    """Restore and score a set by the outputs of one model.

    Args:
        restore: (batch on `device`, modes) -> mode -> float RGB [-1, 1] (B,3,H,W). Never asked for "input".
        modes: "input" is the degraded picture as it is; modes with references are asked for where there are some.
        options: of `evaluate_methods`.
    """
    return evaluate_methods(
        [OutputsMethod(restore, modes)], loader, metrics=metrics, about=SetOptions(set_name), **options
    )


@torch.no_grad()
def evaluate_methods(
    methods: Sequence[Method],
    loader: Iterable[FaceBatch],
    *,
    metrics: Mapping[str, Metric],
    unavailable: Mapping[str, Unavailable] | None = None,
    about: SetOptions,
    out_dir: Path | None = None,
    save_images: bool = False,
    device: torch.device | str = "cpu",
    sheet_rows: int = 0,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
    journal: Journal | None = None,
    before: Before | None = None,
) -> Evaluation:
    """Restore and score a set by several methods; each picture is loaded once for all of them.

    Args:
        loader: this rank's share of the set; a picture that several ranks have is counted once.
        metrics: short name -> metric. Without ground truth, those that need a target give no value.
        unavailable: metrics that were asked for and cannot be computed here.
        out_dir: where the restored pictures go, as `<out_dir>/<set>/<column>/<identity>/<stem>.png`.
        save_images: whether to write them; each rank writes its own.
        sheet_rows: how many people to keep pictures of, for a comparison sheet.
        seed: of what metrics of whole sets draw.
        progress: called with the number of pictures after each batch.
        journal: is told of everything that is found.
        before: what need not be found again.

    Raises:
        DataError: sizes that differ, two pictures with one name, a data set without pictures.
    """
    metrics = {name: metric.to(device).eval() for name, metric in metrics.items()}
    found, samples = Findings(), list[Sample]()
    infos = [info for method in methods for info in method.columns]
    everything = tuple(info.name for info in infos)
    for number, host_batch in enumerate(loader):
        batch = host_batch.to(device, non_blocking=True)
        asked = everything if before is None else tuple(before.columns[number])
        for lost in batch.unusable:
            picture = UnusablePicture(lost.identity, lost.name, lost.fault.kind, lost.fault.note)
            found.unusable[picture.identity, picture.name] = picture
            if journal is not None:
                journal.write_unusable(picture)
        if len(batch):
            answers = run_batch(methods, batch, metrics, asked)
            take_samples(samples, batch, answers.restored, answers.scores, sheet_rows)
            if save_images and out_dir is not None:
                _write_pictures(out_dir, about.name, batch, answers.restored)
            _keep(batch, answers, found, journal)
        if journal is not None:
            journal.flush()
        if progress is not None:
            progress(len(batch) + len(batch.unusable))
    if before is not None:
        found.take(before.kept)
    merged = merge(
        found, set_name=about.name, columns=everything, metrics=metrics, failed_as=about.failed_as, seed=seed
    )
    possible = {record.method for record in merged.pictures if record.status != "no_references"}
    return Evaluation(
        set_name=about.name,
        methods=tuple(column for column in everything if column in possible),
        metrics=_with_lost(metric_infos(metrics, unavailable or {}), merged, about.name),
        pictures=merged.pictures,
        samples=choose_samples(samples, sheet_rows),
        infos=tuple(info for info in infos if info.name in possible),
        unusable=merged.unusable,
        set_values=merged.set_values,
        severity=about.severity,
        published=about.published,
        failed_as=about.failed_as,
    )


@dataclass(frozen=True)
class Answers:
    """What the methods made of one batch, by column, and what metrics found; `targets` is of the ground truth."""

    restored: Mapping[str, Restored]
    scores: Mapping[str, Scores]
    targets: tuple[Features, ...]


def run_batch(
    methods: Sequence[Method], batch: FaceBatch, metrics: Mapping[str, Metric], columns: Sequence[str]
) -> Answers:
    """Restore and score a batch by the methods that give `columns`."""
    memo: dict[Hashable, Any] = {}
    restored: dict[str, Restored] = {}
    for method in methods:
        mine = [info.name for info in method.columns if info.name in columns]
        if mine:
            restored |= method.restore(batch, mine)
    scores = {column: score(batch, answer, metrics, column, memo) for column, answer in restored.items()}
    return Answers(restored, scores, target_features(batch, metrics, memo))


def metric_infos(metrics: Mapping[str, Metric], unavailable: Mapping[str, Unavailable]) -> tuple[MetricInfo, ...]:
    """Return what the reports say of the metrics, those first that could be computed."""
    ready = (
        MetricInfo(
            name,
            metric.recipe,
            metric.higher_is_better,
            isinstance(metric, SetMetric),
            metric.undefined,
            weights=metric.checksums(),
        )
        for name, metric in metrics.items()
    )
    lacking = (
        MetricInfo(name, metric.recipe, metric.higher_is_better, metric.of_set, unavailable=metric.reason)
        for name, metric in unavailable.items()
    )
    return (*ready, *lacking)


def _with_lost(infos: Sequence[MetricInfo], merged: Merged, set_name: str) -> tuple[MetricInfo, ...]:
    """Return the metrics, those said to be not computed that could score no picture of the set at all."""
    found = []
    for info in infos:
        why = "" if info.unavailable else merged.lost(info)
        if why and rank() == 0:
            logger.warning("%s: %s is not computed: %s", set_name, info.name, why)
        found.append(replace(info, unavailable=why) if why else info)
    return tuple(found)


def _keep(batch: FaceBatch, answers: Answers, found: Findings, journal: Journal | None) -> None:
    """Take down what was found; in the journal only what the pictures' files are written for already."""
    for row, key in enumerate(zip(batch.identities, batch.names, strict=True)):
        for column, answer in answers.restored.items():
            scores = answers.scores[column]
            record = PictureRecord(
                method=column,
                identity=key[0],
                name=key[1],
                references=answer.references[row],
                status=answer.status[row],
                note=answer.notes[row],
                values=scores.values[row],
                reason=answer.reason(row),
                unscored=scores.unscored[row],
            )
            found.add(record, scores.features[row])
            if journal is not None:
                journal.write(record, scores.features[row])
        if answers.targets[row]:
            found.targets[key] = answers.targets[row]
            if journal is not None:
                journal.write_target(key, answers.targets[row])


def _write_pictures(out_dir: Path, set_name: str, batch: FaceBatch, restored: Mapping[str, Restored]) -> None:
    """Write what the methods gave. A failed picture is not written, and what a run before wrote there is taken away: it
    would pass for a result."""
    for column, answer in restored.items():
        pictures = to_hwc(answer.pictures_BCHW)
        for index, status in enumerate(answer.status):
            path = picture_path(out_dir, set_name, column, batch.identities[index], batch.names[index])
            if status == "ok":
                make_folder(path.parent)
                write_image(path, pictures[index])
            else:
                path.unlink(missing_ok=True)
