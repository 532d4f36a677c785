"""What an evaluation found: one record per picture and method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dmdnet.metrics import SetValue

Status = Literal["ok", "failed", "no_references"]
# Why a method gave no picture, or a picture of the set cannot be used by any method
Reason = Literal["", "missing", "unreadable", "no_face", "bad_landmarks", "not_finite", "wrong_size", "error"]


@dataclass(frozen=True)
class MetricInfo:
    """A metric as the reports name it.

    Attributes:
        name: its short name in the option file.
        recipe: what exactly it computes.
        of_set: one number for all pictures together (FID) in place of one for each.
        undefined: why a picture may have no value.
        weights: SHA-256 of the files that it looks through, by their names.
        unavailable: why it could not be computed at all here, with the remedy; empty where it was.
    """

    name: str
    recipe: str
    higher_is_better: bool
    of_set: bool = False
    undefined: str = ""
    unavailable: str = ""
    weights: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MethodInfo:
    """One column of a benchmark: where its pictures come from.

    Attributes:
        name: the column, for example `ours_specific@3`.
        kind: the degraded input itself, a network of ours, or a folder of another tool's results.
        entry: the method's name in the option file; columns of one entry share it.
        mode: what of the network: generic, specific or wrong_person; empty for folders.
        references: how many references it is given at most; None: it takes none, or all that the set gives.
        source: the weights file or the folder.
        sha256: of the weights file.
    """

    name: str
    kind: Literal["input", "network", "folder"]
    entry: str = ""
    mode: str = ""
    references: int | None = None
    source: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class UnusablePicture:
    """A picture of the set that no method could be scored on: its target or degraded picture cannot be read."""

    identity: str
    name: str
    reason: Reason
    note: str


@dataclass(frozen=True)
class PictureRecord:
    """One picture restored by one method.

    Attributes:
        references: how many reference pictures the method was given.
        status: "failed" where the method gave no usable picture, and the degraded input is scored in its place;
            "no_references" where the method needs references and the picture has none: nothing is scored.
        reason: why it failed, as reports count it; `note` says it in full.
        values: metric name -> value; NaN where the metric is not defined for this picture.
        unscored: metric name -> why the metric refused the picture, for those that did.
    """

    method: str
    identity: str
    name: str
    references: int
    status: Status
    note: str
    values: Mapping[str, float]
    reason: Reason = ""
    unscored: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """The picture: identity and name."""
        return self.identity, self.name


@dataclass(frozen=True)
class Sample:
    """Pictures of one face for a comparison sheet, all uint8 RGB (H, W, 3).

    Attributes:
        pictures: method -> picture, in the order of the methods.
        boxes: int32 (4, 4), component boxes of `pictures` and `target`.
        references: (R, H, W, 3), and their boxes (R, 4, 4).
        values: method -> metric name -> value.
    """

    identity: str
    name: str
    pictures: Mapping[str, np.ndarray]
    target: np.ndarray | None
    boxes: np.ndarray
    references: np.ndarray
    reference_boxes: np.ndarray
    values: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Evaluation:
    """Everything found about one set; the same for any number of ranks.

    Attributes:
        methods: the modes that at least one picture allowed; a set without references has no "specific".
        pictures: sorted by identity, name and method.
        samples: pictures for a comparison sheet, the first few people.
        infos: what is known of the methods, in their order.
        unusable: pictures that no method could be scored on; they count as not covered.
        set_values: (method, metric) -> the number of a metric of the whole set.
        severity: how hard the set is, where its options say so: the x axis of curves over severity.
        published: the name of the set among the published numbers, where its options say so.
        failed_as: what a method's failed picture is scored as: the input, or not at all.
    """

    set_name: str
    methods: tuple[str, ...]
    metrics: tuple[MetricInfo, ...]
    pictures: tuple[PictureRecord, ...]
    samples: tuple[Sample, ...] = ()
    infos: tuple[MethodInfo, ...] = ()
    unusable: tuple[UnusablePicture, ...] = ()
    set_values: Mapping[tuple[str, str], SetValue] = field(default_factory=dict)
    severity: float | None = None
    published: str | None = None
    failed_as: Literal["input", "drop"] = "input"

    @property
    def n_pictures(self) -> int:
        """Pictures of the set, those included that could not be used."""
        return len({record.key for record in self.pictures}) + len(self.unusable)

    def of_method(self, method: str) -> list[PictureRecord]:
        """Return the records of one method, one per picture."""
        return [record for record in self.pictures if record.method == method]

    def mean(self, method: str, metric: str) -> float:
        """Return the mean over the scored pictures; NaN when there is none."""
        values = [record.values.get(metric, math.nan) for record in self.of_method(method)]
        scored = [value for value in values if not math.isnan(value)]
        return math.fsum(scored) / len(scored) if scored else math.nan

    def means(self) -> dict[str, float]:
        """Return "method/metric" -> mean, for training logs; what was not scored is left out."""
        found = {
            f"{method}/{metric.name}": self.mean(method, metric.name)
            for method in self.methods
            for metric in self.metrics
        }
        return {name: value for name, value in found.items() if not math.isnan(value)}
