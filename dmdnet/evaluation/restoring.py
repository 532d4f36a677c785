"""Asking a network for pictures, and keeping count of those that it could not give.

A method that fails on a picture is scored as if it had returned the degraded input: leaving the picture out would
reward failing on hard ones (`benchmark.failed: drop` does it, and says so). The count of failures goes beside
every mean.

Shape suffixes: B batch, R references, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch, References
from dmdnet.errors import BoxError, DataError, FaceError
from dmdnet.evaluation.records import Reason, Status
from dmdnet.images import to_uint8
from dmdnet.ops.precision import full_float32_products

RestoreFunction = Callable[[FaceBatch, tuple[str, ...]], Mapping[str, Tensor]]
WITH_REFERENCES = ("specific", "wrong_person")


@dataclass(frozen=True)
class Failure:
    """Why a method gave no usable picture: in a word for counting, and in full."""

    reason: Reason
    note: str


@dataclass(frozen=True)
class Restored:
    """One method's answer to a batch, row by row.

    Attributes:
        pictures_BCHW: uint8; the degraded input where there is no other.
        status: see `PictureRecord`.
        notes: why a method failed, or what else is to be said of a picture.
        references: how many reference pictures it was given.
        reasons: why it failed, in a word.
    """

    pictures_BCHW: Tensor
    status: tuple[Status, ...]
    notes: tuple[str, ...]
    references: tuple[int, ...]
    reasons: tuple[Reason, ...] = ()

    def reason(self, row: int) -> Reason:
        """Return why the method failed on the picture of a row; empty where it did not."""
        return self.reasons[row] if self.reasons else ""


def references_of(batch: FaceBatch, method: str) -> References | None:
    """Return the references that a mode uses; None for modes without, or where the batch has none."""
    return {"specific": batch.references, "wrong_person": batch.wrong_references}.get(method)


def answered(
    batch: FaceBatch, pictures_BCHW: Tensor, failures: Sequence[Failure | None], counts: Sequence[int | None] = ()
) -> Restored:
    """Return an answer with the degraded input in the place of what failed.

    Args:
        pictures_BCHW: uint8, on the batch's device; rows that failed may hold anything.
        failures: row by row, None where the picture is good.
        counts: row by row how many references were used; None where the method uses none, 0 where it had to have some.
    """
    counts = counts or (None,) * len(batch)
    good_B = torch.tensor([failure is None for failure in failures], device=batch.lq_BCHW.device)
    return Restored(
        torch.where(good_B[:, None, None, None], pictures_BCHW, batch.lq_BCHW),
        tuple(_status(failure, count) for failure, count in zip(failures, counts, strict=True)),
        tuple(_note(batch, row, failure, counts[row]) for row, failure in enumerate(failures)),
        tuple(count or 0 for count in counts),
        tuple(
            failure.reason if failure and count != 0 else "" for failure, count in zip(failures, counts, strict=True)
        ),
    )


def _status(failure: Failure | None, references: int | None) -> Status:
    if references == 0:
        return "no_references"
    return "failed" if failure else "ok"


def _note(batch: FaceBatch, row: int, failure: Failure | None, references: int | None) -> str:
    """Say why it failed and, of a method with references, which of them could not be used."""
    left_out = batch.left_out[row] if batch.left_out and references is not None else ""
    parts = (failure.note if failure and references != 0 else "", f"left out: {left_out}" if left_out else "")
    return "; ".join(part for part in parts if part)


def restore_batch(restore: RestoreFunction, batch: FaceBatch, modes: Sequence[str]) -> dict[str, Restored]:
    """Return mode -> answer for every mode, "input" being the degraded picture itself.

    A network is not asked for faces without landmarks: it fails on them. Errors about the data or a face (DataError,
    FaceError) are failures of the pictures that cause them: the batch is tried again picture by picture and mode by
    mode. Every other error is a fault and passes through.
    """
    counts = {mode: _reference_counts(batch, mode) for mode in modes}
    asked = tuple(mode for mode in modes if mode != "input" and any(count != 0 for count in counts[mode]))
    found = [row for row in range(len(batch)) if not (batch.faults and batch.faults[row])]
    faces = batch if len(found) == len(batch) else batch.rows(found)
    with full_float32_products(batch.lq_BCHW.device):  # TF32 would give the same weights another number
        answers, failures = _attempt(restore, faces, asked) if found else ({}, {})
    restored = {}
    for mode in modes:
        if mode == "input" or mode not in asked:
            restored[mode] = answered(batch, batch.lq_BCHW, (None,) * len(batch), counts[mode])
            continue
        pictures_BCHW, whys = batch.lq_BCHW, [_no_landmarks(batch, row) for row in range(len(batch))]
        if found:
            theirs, their_whys = _as_pictures(faces, mode, answers[mode], failures.get(mode))
            pictures_BCHW = theirs if faces is batch else batch.lq_BCHW.index_copy(0, _rows(found, batch), theirs)
            for row, why in zip(found, their_whys, strict=True):
                whys[row] = why
        restored[mode] = answered(batch, pictures_BCHW, whys, counts[mode])
    return restored


def _rows(found: list[int], batch: FaceBatch) -> Tensor:
    return torch.tensor(found, device=batch.lq_BCHW.device)


def _no_landmarks(batch: FaceBatch, row: int) -> Failure | None:
    fault = batch.faults[row] if batch.faults else None
    return None if fault is None else Failure(fault.kind, fault.note)


def _attempt(
    restore: RestoreFunction, batch: FaceBatch, modes: tuple[str, ...]
) -> tuple[dict[str, Tensor], dict[str, tuple[Failure | None, ...]]]:
    """Return mode -> float pictures (NaN for a failed one), and mode -> why per picture."""
    if not modes:
        return {}, {}
    try:
        answers = restore(batch, modes)
        return {mode: answers[mode] for mode in modes}, {}
    except (DataError, FaceError) as error:
        if len(batch) == 1 and len(modes) == 1:
            return {modes[0]: torch.full(batch.lq_BCHW.shape, torch.nan)}, {modes[0]: (_failure(error),)}
    if len(batch) > 1:
        parts = [_attempt(restore, batch.row(index), modes) for index in range(len(batch))]
        found = {mode: torch.cat([answers[mode].cpu() for answers, _ in parts]) for mode in modes}
        why = {mode: tuple(failures.get(mode, (None,))[0] for _, failures in parts) for mode in modes}
        return found, why
    found, why = {}, {}
    for mode in modes:
        answers_of_mode, why_of_mode = _attempt(restore, batch, (mode,))
        found |= answers_of_mode
        why |= why_of_mode
    return found, why


def _failure(error: DataError | FaceError) -> Failure:
    reason: Reason = "error"
    if isinstance(error, BoxError):
        reason = "bad_landmarks"
    elif isinstance(error, FaceError):
        reason = "no_face"
    return Failure(reason, str(error))


def _as_pictures(
    batch: FaceBatch, mode: str, answer: Tensor, failures: tuple[Failure | None, ...] | None
) -> tuple[Tensor, tuple[Failure | None, ...]]:
    """Return a network's pictures as uint8, and per picture why it is none."""
    lq_BCHW = batch.lq_BCHW
    if answer.shape != lq_BCHW.shape:
        raise DataError(
            f"mode {mode!r} gave {tuple(answer.shape)} for degraded pictures {tuple(lq_BCHW.shape)} "
            f"({batch.names[0]} ...); a method returns pictures of the size of its input"
        )
    finite = answer.isfinite().flatten(1).all(dim=1).tolist()
    not_finite = Failure("not_finite", "values that are not finite")
    known = failures or (None,) * len(batch)
    whys = tuple(why or (None if good else not_finite) for why, good in zip(known, finite, strict=True))
    return to_uint8(torch.nan_to_num(answer)).to(lq_BCHW.device), whys


def _reference_counts(batch: FaceBatch, mode: str) -> tuple[int | None, ...]:
    """Return per picture how many references a mode has; None where the mode uses none."""
    if mode not in WITH_REFERENCES:
        return (None,) * len(batch)
    references = references_of(batch, mode)
    if references is None:
        return (0,) * len(batch)
    return tuple(references.mask_BR.sum(dim=1).tolist())
