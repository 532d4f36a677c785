"""Asking a method for pictures, and keeping count of those that it could not give.

A method that fails on a picture is scored as if it had returned the degraded input: leaving the picture out would
reward failing on hard ones. The count of failures goes beside every mean.

Shape suffixes: B batch, R references, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch, References
from dmdnet.errors import DataError, FaceError
from dmdnet.evaluation.records import Status
from dmdnet.images import to_uint8

RestoreFunction = Callable[[FaceBatch, tuple[str, ...]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Restored:
    """One method's answer to a batch: uint8 (B,3,H,W), and per picture its status, why, and how many references."""

    pictures_BCHW: Tensor
    status: tuple[Status, ...]
    notes: tuple[str, ...]
    references: tuple[int, ...]


def references_of(batch: FaceBatch, method: str) -> References | None:
    """Return the references that a method uses; None for methods without, or where the batch has none."""
    return {"specific": batch.references, "wrong_person": batch.wrong_references}.get(method)


def restore_batch(restore: RestoreFunction, batch: FaceBatch, modes: Sequence[str]) -> dict[str, Restored]:
    """Return mode -> answer for every mode, "input" being the degraded picture itself.

    Errors about the data or a face (DataError, FaceError) are failures of the pictures that cause them: the batch is
    tried again picture by picture and mode by mode. Every other error is a fault and passes through.
    """
    counts = {mode: _reference_counts(batch, mode) for mode in modes}
    asked = tuple(mode for mode in modes if mode != "input" and any(count != 0 for count in counts[mode]))
    answers, notes = _attempt(restore, batch, asked)
    return {mode: _judge(batch, mode, answers.get(mode), notes.get(mode), counts[mode]) for mode in modes}


def _attempt(
    restore: RestoreFunction, batch: FaceBatch, modes: tuple[str, ...]
) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """Return mode -> float pictures (NaN for a failed one), and mode -> why per picture."""
    if not modes:
        return {}, {}
    try:
        answers = restore(batch, modes)
        return {mode: answers[mode] for mode in modes}, {}
    except (DataError, FaceError) as error:
        if len(batch) == 1 and len(modes) == 1:
            return {modes[0]: torch.full(batch.lq_BCHW.shape, torch.nan)}, {modes[0]: (str(error),)}
    if len(batch) > 1:
        parts = [(_attempt(restore, batch.row(index), modes), 1) for index in range(len(batch))]
        found = {mode: torch.cat([answers[mode].cpu() for (answers, _), _ in parts]) for mode in modes}
        why = {mode: tuple(notes.get(mode, ("",))[0] for (_, notes), _ in parts) for mode in modes}
        return found, why
    found, why = {}, {}
    for mode in modes:
        answers_of_mode, notes_of_mode = _attempt(restore, batch, (mode,))
        found |= answers_of_mode
        why |= notes_of_mode
    return found, why


def _judge(
    batch: FaceBatch, mode: str, answer: Tensor | None, notes: tuple[str, ...] | None, counts: tuple[int | None, ...]
) -> Restored:
    """Put the input in the place of what failed, and say so."""
    lq_BCHW, size = batch.lq_BCHW, len(batch)
    references = tuple(count or 0 for count in counts)
    if answer is None:
        status: Status = "ok" if mode == "input" else "no_references"
        return Restored(lq_BCHW, (status,) * size, ("",) * size, references)
    if answer.shape != lq_BCHW.shape:
        raise DataError(
            f"mode {mode!r} gave {tuple(answer.shape)} for degraded pictures {tuple(lq_BCHW.shape)} "
            f"({batch.names[0]} ...); a method returns pictures of the size of its input"
        )
    finite_B = answer.isfinite().flatten(1).all(dim=1).to(lq_BCHW.device)
    pictures = to_uint8(torch.nan_to_num(answer)).to(lq_BCHW.device)
    usable = finite_B.tolist()
    reasons = ["" if good else "values that are not finite" for good in usable]
    return Restored(
        torch.where(finite_B[:, None, None, None], pictures, lq_BCHW),
        tuple(_status(good, count) for good, count in zip(usable, counts, strict=True)),
        tuple(given or found for given, found in zip(notes or reasons, reasons, strict=True)),
        references,
    )


def _status(good: bool, references: int | None) -> Status:
    if references == 0:
        return "no_references"
    return "ok" if good else "failed"


def _reference_counts(batch: FaceBatch, mode: str) -> tuple[int | None, ...]:
    """Return per picture how many references a mode has; None where the mode uses none."""
    if mode not in ("specific", "wrong_person"):
        return (None,) * len(batch)
    references = references_of(batch, mode)
    if references is None:
        return (0,) * len(batch)
    return tuple(references.mask_BR.sum(dim=1).tolist())
