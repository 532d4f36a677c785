"""Which training faces the generic dictionary starts from, and how much each of its slots is used.

Shape suffixes: B batch, S slots.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dmdnet.errors import BoxError, DataError
from dmdnet.images import from_hwc

logger = logging.getLogger(__name__)
_STREAM = 0x64696374  # keeps this order apart from any other use of the seed
_DEAD_SHARE = 0.01  # a slot that is read less than this share of an even spread is called dead
_MOST_UNREADABLE = 10  # so many in a row are no accident


def spread_over_identities(identities: Sequence[str], seed: int) -> list[int]:
    """Return all record numbers: one of each person in a random order, then a second of each, and so on."""
    generator = np.random.Generator(np.random.Philox(key=[seed, _STREAM]))
    people: dict[str, list[int]] = defaultdict(list)
    for record in generator.permutation(len(identities)).tolist():
        people[identities[record]].append(record)
    rounds = max((len(records) for records in people.values()), default=0)
    return [records[turn] for turn in range(rounds) for records in people.values() if turn < len(records)]


def dictionary_faces(dataset: Any, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return sharp training faces (count, 3, H, W) uint8 and their exact boxes (count, 4, 4), spread over people.

    Faces with a component too small for the network are passed over, and so, with a warning, are pictures that cannot
    be read or in which no landmarks are found: whether those stop the training is the data set's choice. A set with
    fewer faces than slots gives each of them again mirrored, and then over again: slots that start equal stay equal,
    so this is logged.

    Raises:
        DataError: no usable face, or ten in a row that cannot be read.
    """
    images: list[Tensor] = []
    boxes: list[Tensor] = []
    unreadable = 0
    order = spread_over_identities(dataset.identities, seed)
    for turn in range(2):
        for record in order:
            if len(images) == count:
                return torch.stack(images), torch.stack(boxes)
            try:
                face = dataset.face(record).flipped() if turn else dataset.face(record)
                face_boxes = face.boxes()
            except BoxError:
                continue
            except DataError as error:
                unreadable += 1
                if unreadable == _MOST_UNREADABLE:
                    raise
                logger.warning("not taken into the generic dictionary: %s", error)
                continue
            unreadable = 0
            images.append(from_hwc(face.image))
            boxes.append(torch.from_numpy(face_boxes))
    if not images:
        raise DataError(
            f"the generic dictionary starts from sharp training faces with eyes and mouth, and none of {len(order)} "
            "has them; check the landmarks, or set model.dictionary_init: random"
        )
    logger.warning(
        "%d training faces, mirrored ones included, for %d slots of the generic dictionary: some slots start equal; "
        "lower network_g.dictionary_size",
        len(images),
        count,
    )
    repeated = torch.arange(count) % len(images)
    return torch.stack(images)[repeated], torch.stack(boxes)[repeated]


def usage_statistics(usage_S: Tensor) -> tuple[float, float]:
    """Return how evenly slots are read and how many are dead, from their summed weights (S,).

    The first is the entropy of the mean read divided by log S: 1 when every slot is read alike, 0 when one slot takes
    all. The second is the share of slots with less than 1% of an even spread.
    """
    share_S = usage_S.double() / usage_S.double().sum()
    entropy = float(torch.special.entr(share_S).sum()) / math.log(len(share_S)) if len(share_S) > 1 else 1.0
    return entropy, float((share_S * len(share_S) < _DEAD_SHARE).double().mean())


class DictionaryUsage:
    """Adds up the weights of every read on the device; they are read on the host when statistics are asked for."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._table: Tensor | None = None

    def add(self, weights: Mapping[str, Tensor]) -> None:
        """Add the weights (B, S) of one step, by site; what is not finite counts nothing."""
        if not weights:
            return
        table = torch.stack([weights_BS.detach() for weights_BS in weights.values()]).float().sum(dim=1)
        table = table.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
        self._names, self._table = tuple(weights), table if self._table is None else self._table + table

    def pop(self) -> dict[str, float]:
        """Return `dictionary/usage_entropy/<site>` and `.../dead_slots/<site>` over all ranks, and start again."""
        table, self._table = self._table, None
        if table is None:
            return {}
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(table)
        found: dict[str, float] = {}
        for name, usage_S in zip(self._names, table.cpu(), strict=True):
            entropy, dead = usage_statistics(usage_S)
            found |= {f"dictionary/usage_entropy/{name}": entropy, f"dictionary/dead_slots/{name}": dead}
        return found
