"""What ranks find about a set, and how it becomes one evaluation."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from dmdnet.errors import DataError
from dmdnet.evaluation.gather import gather_all, gather_first, rank
from dmdnet.evaluation.records import MetricInfo, PictureRecord, UnusablePicture
from dmdnet.metrics import Metric, SetMetric, SetValue

Key = tuple[str, str]
Features = dict[str, np.ndarray]  # set metric -> float32 (D,)
logger = logging.getLogger(__name__)


@dataclass
class Findings:
    """What is known of a set: found by this rank, or kept from a run before.

    Attributes:
        records: one per picture and column; a failed picture has the values of its input.
        features: (picture, column) -> features of what was scored.
        targets: picture -> features of its ground truth.
        unusable: pictures that could not be loaded.
        doubled: a picture that came twice.
    """

    records: dict[tuple[Key, str], PictureRecord] = field(default_factory=dict)
    features: dict[tuple[Key, str], Features] = field(default_factory=dict)
    targets: dict[Key, Features] = field(default_factory=dict)
    unusable: dict[Key, UnusablePicture] = field(default_factory=dict)
    doubled: Key | None = None

    def add(self, record: PictureRecord, features: Features) -> None:
        """Take a record with its features, and notice when its picture came before."""
        place = (record.key, record.method)
        if place in self.records:
            self.doubled = record.key
        self.records[place] = record
        if features:
            self.features[place] = features

    def take(self, other: Findings) -> None:
        """Take what is not yet known."""
        self.records = other.records | self.records
        self.features = other.features | self.features
        self.targets = other.targets | self.targets
        self.unusable = other.unusable | self.unusable
        scored = {key for key, _ in self.records}  # what could not be read before may be readable now
        self.unusable = {key: picture for key, picture in self.unusable.items() if key not in scored}
        self.doubled = self.doubled or other.doubled


@dataclass(frozen=True)
class Merged:
    """The same on every rank: records in an order that does not depend on the ranks, and the numbers of the set."""

    pictures: tuple[PictureRecord, ...]
    unusable: tuple[UnusablePicture, ...]
    set_values: Mapping[tuple[str, str], SetValue]

    def lost(self, metric: MetricInfo) -> str:
        """Return why a metric has no number of the set at all; empty where it has one, or refused nothing."""
        if metric.of_set and any(name == metric.name for _, name in self.set_values):
            return ""
        if any(not math.isnan(record.values.get(metric.name, math.nan)) for record in self.pictures):
            return ""
        refused = [record.unscored[metric.name] for record in self.pictures if metric.name in record.unscored]
        return next(iter(refused), "")


def merge(
    found: Findings,
    *,
    set_name: str,
    columns: Sequence[str],
    metrics: Mapping[str, Metric],
    failed_as: Literal["input", "drop"],
    seed: int,
) -> Merged:
    """Bring together what all ranks have found, each picture once.

    Raises:
        DataError: a picture came twice on one rank, or there is none; on every rank.
    """
    # Each rank tells the others what is wrong with it before anyone raises: otherwise they would wait for it.
    everyone = gather_all(replace(found, features={}, targets={}))
    whole = Findings()
    for theirs in everyone:
        whole.take(theirs)
    if whole.doubled is not None:
        raise twice(set_name, whole.doubled)
    if not whole.records:
        lost = next(iter(sorted(whole.unusable.values(), key=lambda picture: (picture.identity, picture.name))), None)
        why = f"no usable picture; the first is {lost.name}: {lost.note}" if lost else f"no pictures (rank {rank()})"
        raise DataError(f"set {set_name!r} has {why}; check its root and its split")
    order = {column: index for index, column in enumerate(columns)}
    records = sorted(whole.records.values(), key=lambda record: (*record.key, order[record.method]))
    if failed_as == "drop":
        records = [_dropped(record) for record in records]
    values = _set_values(found, records, columns, metrics, failed_as, seed)
    unusable = tuple(picture for _, picture in sorted(whole.unusable.items()))
    return Merged(tuple(records), unusable, values)


def twice(set_name: str, key: Key) -> DataError:
    """Return the error for two pictures of one name."""
    return DataError(
        f"set {set_name!r}: two pictures of identity {key[0]!r} are both named {key[1]!r}; "
        "records and files are kept by name: give them different names"
    )


def _dropped(record: PictureRecord) -> PictureRecord:
    return replace(record, values=dict.fromkeys(record.values, math.nan)) if record.status == "failed" else record


def _set_values(
    found: Findings,
    records: Sequence[PictureRecord],
    columns: Sequence[str],
    metrics: Mapping[str, Metric],
    failed_as: Literal["input", "drop"],
    seed: int,
) -> dict[tuple[str, str], SetValue]:
    """Return (column, metric) -> number. The first rank computes it, since features are many."""
    of_set = {name: metric for name, metric in metrics.items() if isinstance(metric, SetMetric)}
    if not of_set:
        return {}
    whole = Findings()
    for theirs in gather_first(Findings(features=found.features, targets=found.targets)):
        whole.take(theirs)
    values: dict[tuple[str, str], SetValue] = {}
    if rank() == 0:
        for name, metric in of_set.items():
            paired = "target" in metric.needs
            for column in columns:
                scored = [
                    record.key
                    for record in records
                    if record.method == column
                    and name in whole.features.get((record.key, column), {})
                    and (not paired or name in whole.targets.get(record.key, {}))
                    and not (failed_as == "drop" and record.status == "failed")
                ]
                if scored:
                    pictures = np.stack([whole.features[key, column][name] for key in scored])
                    against = np.stack([whole.targets[key][name] for key in scored]) if paired else None
                    try:
                        values[column, name] = metric.compare(pictures, against, seed=seed)
                    except DataError as error:  # too few pictures for it, say: the other numbers hold
                        values[column, name] = SetValue(math.nan, note=str(error))
    return gather_all(values)[0]
