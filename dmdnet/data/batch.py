"""One training or test batch, as every model receives it.

Shape suffixes: B batch, R references (padded), C channels, H W pixels, 4 boxes x 4 corners, 68 landmarks x 2.
Pictures are uint8 RGB until they reach the device; boxes are int32 x0 y0 x1 y1 in pixels of the network's
input, in the order left eye, right eye, nose, mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch

from dmdnet.data.faults import Fault, UnusableSample
from dmdnet.degradations.base import Degradation
from dmdnet.degradations.pipeline import Draws, degrade_batch
from dmdnet.errors import ConfigError

_B = TypeVar("_B", bound="_TensorFields")


class _TensorFields:
    """Moves the tensors of a dataclass; everything else is kept."""

    def _map(self: _B, function) -> _B:  # type: ignore[no-untyped-def]
        changed = {}
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, torch.Tensor):
                changed[item.name] = function(value)
            elif isinstance(value, _TensorFields):
                changed[item.name] = value._map(function)
        return replace(self, **changed)  # type: ignore[type-var]

    def to(self: _B, device: torch.device | str, non_blocking: bool = False) -> _B:
        """Return the same with its tensors on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self: _B) -> _B:
        """Return the same in page-locked memory (called by torch's DataLoader)."""
        return self._map(torch.Tensor.pin_memory)


@dataclass(frozen=True)
class References(_TensorFields):
    """Reference pictures of each person, padded to the longest row; `mask_BR` is True where there is one."""

    images_BRCHW: torch.Tensor  # uint8
    boxes_BR44: torch.Tensor  # int32
    mask_BR: torch.Tensor  # bool
    landmarks_BR682: torch.Tensor | None = None  # float32, exact; NaN where none were found

    def first(self, count: int) -> References:
        """Return the first `count` references of each person."""
        return self._map(lambda tensor: tensor[:, :count])


@dataclass(frozen=True)
class PendingDegradation:
    """Pictures of a batch that are still to be degraded, all by the same operations.

    Args:
        ops: the operations.
        rows: which pictures of the batch.
        draws: the parameters of each of them.
    """

    ops: tuple[Degradation, ...]
    rows: tuple[int, ...]
    draws: tuple[Draws, ...]

    def within(self, chosen: Sequence[int]) -> PendingDegradation | None:
        """Return what is pending of a smaller batch that has the rows `chosen`; None for nothing."""
        kept = [(chosen.index(row), draw) for row, draw in zip(self.rows, self.draws, strict=True) if row in chosen]
        if not kept:
            return None
        return PendingDegradation(self.ops, tuple(row for row, _ in kept), tuple(draw for _, draw in kept))


@dataclass(frozen=True)
class FaceBatch(_TensorFields):
    """Degraded faces with their targets, boxes and references.

    `lq_boxes_B44` belong to the degraded picture (jittered in training); `gt_boxes_B44` are exact.
    `references` are what training uses (at least one padded row; a row of False where a sample has none);
    `wrong_references` are another person's, filled where the data set was asked for them.
    `gt_BCHW` and `gt_boxes_B44` are None for sets without ground truth.
    `pending` says which pictures of `lq_BCHW` are not there yet: they are made from `gt_BCHW` by `degraded()`, on the
    device where the batch is. Until then their rows are black, and where no picture is there `lq_BCHW` has no pixels
    (B, 3, 0, 0), so that each picture crosses to the device once.
    `skipped` has one message for each picture that could not be used and that others stand in for; each begins with
    the picture's name.
    `lq_landmarks_B682` and `gt_landmarks_B682`, float32, are exact (never jittered); a row is NaN where none were found
    and the boxes are those of the mean face. Only metrics look at them.

    In tests: `faults` has, row by row, why a face has no landmarks (None: it has some); networks fail on it, and its
    boxes are empty. `left_out` says row by row which references could not be used; nobody stands in for them. Both are
    empty where there is nothing to say. `unusable` are pictures that are not in the batch at all, which may be empty.
    """

    lq_BCHW: torch.Tensor
    lq_boxes_B44: torch.Tensor
    names: tuple[str, ...]
    identities: tuple[str, ...]
    gt_BCHW: torch.Tensor | None = None
    gt_boxes_B44: torch.Tensor | None = None
    references: References | None = None
    wrong_references: References | None = None
    pending: tuple[PendingDegradation, ...] = ()
    skipped: tuple[str, ...] = ()
    lq_landmarks_B682: torch.Tensor | None = None
    gt_landmarks_B682: torch.Tensor | None = None
    faults: tuple[Fault | None, ...] = ()
    left_out: tuple[str, ...] = ()
    unusable: tuple[UnusableSample, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def degraded(self) -> FaceBatch:
        """Return the batch with all of its degraded pictures; what is pending is applied where the batch is.

        Raises:
            ConfigError: a degradation does not come back to the target's size.
        """
        if not self.pending:
            return self
        if self.gt_BCHW is None:
            raise ValueError("a batch without targets has nothing to degrade")  # data sets do not make such batches
        lq_BCHW = self.lq_BCHW if self.lq_BCHW.numel() else torch.empty_like(self.gt_BCHW)
        lq_BCHW = lq_BCHW.clone() if lq_BCHW is self.lq_BCHW else lq_BCHW
        for group in self.pending:
            rows = slice(None) if len(group.rows) == len(self) else list(group.rows)
            pictures = degrade_batch(self.gt_BCHW[rows], group.ops, group.draws)
            if pictures.shape[1:] != self.gt_BCHW.shape[1:]:
                raise unequal_sizes(self.names[group.rows[0]], pictures, self.gt_BCHW)
            lq_BCHW[rows] = pictures
        return replace(self, lq_BCHW=lq_BCHW, pending=())

    def row(self, index: int) -> FaceBatch:
        """Return a batch of one: the picture at `index` with its references."""
        return self.rows(slice(index, index + 1))

    def rows(self, chosen: slice | Sequence[int]) -> FaceBatch:
        """Return a smaller batch: the pictures at these places with their references."""
        places = range(len(self))[chosen] if isinstance(chosen, slice) else list(chosen)
        rows = self._map(lambda tensor: tensor[chosen if isinstance(chosen, slice) else places])
        pending = tuple(left for group in self.pending if (left := group.within(places)) is not None)
        return replace(
            rows,
            names=tuple(self.names[place] for place in places),
            identities=tuple(self.identities[place] for place in places),
            pending=pending,
            faults=tuple(self.faults[place] for place in places) if self.faults else (),
            left_out=tuple(self.left_out[place] for place in places) if self.left_out else (),
        )


def unequal_sizes(name: str, degraded: torch.Tensor, sharp: torch.Tensor) -> ConfigError:
    """Return the error for a degraded picture that has another size than its target, both (..., H, W)."""
    return ConfigError(
        f"degradation: the degraded picture of {name} has {degraded.shape[-1]} x {degraded.shape[-2]} pixels, the "
        f"sharp one {sharp.shape[-1]} x {sharp.shape[-2]}; end the list with {{type: ResizeBack}}"
    )
