"""Which faces a comparison sheet shows: the first picture of each of the first few people, for any number of ranks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from dmdnet.data.batch import FaceBatch
from dmdnet.data.samples import collate
from dmdnet.data.sampling import Draw
from dmdnet.errors import DataError
from dmdnet.evaluation.gather import gather_all
from dmdnet.evaluation.methods.base import Method
from dmdnet.evaluation.records import Evaluation, Sample
from dmdnet.evaluation.restoring import Restored
from dmdnet.evaluation.scoring import Scores
from dmdnet.images import to_hwc

MAX_REFERENCES = 4
logger = logging.getLogger(__name__)


def take_samples(
    samples: list[Sample],
    batch: FaceBatch,
    restored: Mapping[str, Restored],
    scores: Mapping[str, Scores],
    limit: int,
) -> None:
    """Append the first picture of each person not yet in `samples`, up to `limit`."""
    known = {sample.identity for sample in samples}
    for index, identity in enumerate(batch.identities):
        if len(samples) < limit and identity not in known:
            known.add(identity)
            samples.append(_sample(index, batch, restored, scores))


def choose_samples(samples: Sequence[Sample], limit: int) -> tuple[Sample, ...]:
    """Return the first `limit` people's samples of all ranks, on every rank."""
    keys = sorted({key for theirs in gather_all(_keys(samples)) for key in theirs})
    first: dict[str, str] = {}
    for identity, name in keys:
        first.setdefault(identity, name)
    chosen = dict(list(first.items())[:limit])
    # only the chosen pictures travel
    mine = [sample for sample in samples if chosen.get(sample.identity) == sample.name]
    found = {sample.identity: sample for theirs in gather_all(mine) for sample in theirs}
    return tuple(found[identity] for identity in chosen)


@torch.no_grad()
def make_samples(
    keys: Sequence[tuple[str, str]],
    evaluation: Evaluation,
    dataset: Any,
    methods: Sequence[Method],
    device: torch.device | str,
) -> tuple[Sample, ...]:
    """Return pictures of an evaluation, made once more: a run before, or another rank, may have scored them.

    Args:
        keys: identity and name; one that cannot be read any more is left out, with a line in the log.
        dataset: of the set; see `data.face_dataset`.
        methods: that the set was evaluated with, still set up for it.
    """
    places = {key: record for record in range(len(dataset)) if (key := dataset.key(record)) in set(keys)}
    values = {(record.key, record.method): record.values for record in evaluation.pictures}
    samples = []
    for key in keys:
        try:
            batch = collate([dataset[Draw(places[key], places[key])]]).to(device)
        except DataError as error:
            logger.warning("%s is not shown: %s", key[1], error)
            continue
        restored: dict[str, Restored] = {}
        for method in methods:
            columns = [info.name for info in method.columns if info.name in evaluation.methods]
            restored |= method.restore(batch, columns) if columns else {}
        scores = {column: Scores((dict(values[key, column]),), ({},)) for column in restored}
        samples.append(_sample(0, batch, restored, scores))
    return tuple(samples)


def _keys(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    return [(sample.identity, sample.name) for sample in samples]


def _sample(
    index: int,
    batch: FaceBatch,
    restored: Mapping[str, Restored],
    scores: Mapping[str, Scores],
) -> Sample:
    shown = {mode: answer for mode, answer in restored.items() if answer.status[index] != "no_references"}
    boxes = batch.lq_boxes_B44 if batch.gt_boxes_B44 is None else batch.gt_boxes_B44
    references, reference_boxes = np.zeros((0, *batch.lq_BCHW.shape[2:], 3), np.uint8), np.zeros((0, 4, 4), np.int32)
    if batch.references is not None:
        used = batch.references.mask_BR[index].nonzero()[:MAX_REFERENCES, 0]
        references = to_hwc(batch.references.images_BRCHW[index, used])
        reference_boxes = batch.references.boxes_BR44[index, used].cpu().numpy()
    return Sample(
        identity=batch.identities[index],
        name=batch.names[index],
        pictures={mode: to_hwc(answer.pictures_BCHW[index]) for mode, answer in shown.items()},
        target=None if batch.gt_BCHW is None else to_hwc(batch.gt_BCHW[index]),
        boxes=boxes[index].cpu().numpy(),
        references=references,
        reference_boxes=reference_boxes,
        values={mode: scores[mode].values[index] for mode in shown},
    )
