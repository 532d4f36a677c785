"""What every metric is, what it is given, and how those of an option file are built.

Shapes: B batch, C channels, H W pixels, 4 boxes x 4 corners. Pictures are uint8 RGB, rounded as they are saved to
disk, so that a number here is the number that any other tool finds in the saved files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor, nn

from dmdnet.errors import ConfigError, DataError, WeightsError
from dmdnet.registry import METRICS, Component
from dmdnet.weights import checksum, used_weights

Need = Literal["target", "landmarks", "references"]


@dataclass(frozen=True)
class MetricInput:
    """Pictures of one method beside what they may be held against. All pictures are uint8 RGB of one size.

    Attributes:
        pred_BCHW: the pictures to score.
        target_BCHW: the ground truth; None for sets without.
        boxes_B44: int32 component boxes x0 y0 x1 y1 (the far corner is not included) of the target.
        landmarks_B682: float32 landmarks x y of the target (of the degraded picture for sets without); a row of NaN
            where none were found.
        references: pictures of the right person, also where the method was given none or another person's.
        pred_memo: for work on the prediction that several metrics share.
        target_memo: the same for target and references; every method's answers to one batch share it.
    """

    pred_BCHW: Tensor
    target_BCHW: Tensor | None = None
    boxes_B44: Tensor | None = None
    landmarks_B682: Tensor | None = None
    references: MetricReferences | None = None
    pred_memo: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    target_memo: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def has(self, needs: frozenset[Need]) -> bool:
        """Return whether everything in `needs` is there."""
        there = {
            "target": self.target_BCHW,
            "landmarks": self.landmarks_B682,
            "references": self.references,
        }
        return all(there[need] is not None for need in needs)


@dataclass(frozen=True)
class MetricReferences:
    """Reference pictures of each person, uint8, padded to the longest row; `mask_BR` is True where there is one."""

    images_BRCHW: Tensor
    mask_BR: Tensor
    landmarks_BR682: Tensor | None = None


class Metric(nn.Module, ABC):
    """One number per picture. Constructor keywords are its options in the option file.

    Attributes:
        recipe: names exactly what is computed, such as `psnr@y/uint8/crop4`. Two numbers with different recipes
            are not comparable.
        higher_is_better: the direction of the best value.
        needs: what a picture must come with to be scored; without it there is no value.
        undefined: why a picture that comes with all of that may have no value, in a few words; empty if it never is.
        weights_files: what `prepare` has loaded weights from; `build_metrics` notes it.
        smallest_side: pixels that a picture's shorter side must have.
    """

    recipe: str
    higher_is_better: ClassVar[bool] = True
    needs: frozenset[Need] = frozenset({"target"})
    undefined: str = ""
    smallest_side: int = 1
    weights_files: tuple[Path, ...] = ()

    def prepare(self, weights_folder: str | None) -> None:
        """Load what the metric needs from the weights folder (None: the usual one).

        Raises:
            WeightsError: weights are missing or are not those of this metric; the message says what to do.
            ConfigError: an optional package is not installed.
        """

    def checksums(self) -> dict[str, str]:
        """Return the SHA-256 of the files that the metric looks through, by their names."""
        return {path.name: checksum(path) for path in self.weights_files}

    @abstractmethod
    def forward(self, inputs: MetricInput) -> Tensor:
        """Score every picture on its own.

        Returns:
            float64 (B,). NaN where the metric is not defined, for example a region whose boxes are all empty:
            such a picture is not scored.

        Raises:
            DataError: the pictures differ in size, are not uint8 RGB, or what the metric needs is missing.
        """


class SetMetric(Metric):
    """One number for all pictures of a method together, from features of each (FID, KID).

    `needs` has "target" where the features are compared with those of the set's own ground truth.
    """

    @abstractmethod
    def forward(self, inputs: MetricInput) -> Tensor:
        """Return the features of each prediction, float32 (B, D)."""

    def target_features(self, inputs: MetricInput) -> Tensor:
        """Return the features of each target, float32 (B, D); computed once for all methods."""
        if inputs.target_BCHW is None:
            raise DataError(f"{self.recipe}: there is no ground truth to compare with")
        if self not in inputs.target_memo:
            inputs.target_memo[self] = self(MetricInput(inputs.target_BCHW))
        found: Tensor = inputs.target_memo[self]
        return found

    @abstractmethod
    def compare(self, pred_ND: np.ndarray, target_ND: np.ndarray | None, *, seed: int) -> SetValue:
        """Return the number of a set.

        Args:
            pred_ND: float32, a row per picture in an order that does not depend on ranks or batches.
            target_ND: the same of the ground truth where `needs` has "target", else None.
            seed: of whatever is drawn.
        """


@dataclass(frozen=True)
class SetValue:
    """A set's number; `low` and `high` (None: there are none) with `interval`, how they were made. `note` is for
    the reader, such as that there are too few pictures."""

    value: float
    low: float | None = None
    high: float | None = None
    interval: str = ""
    note: str = ""


def build_metrics(
    components: Mapping[str, Component], weights_folder: str | None = None
) -> tuple[dict[str, Metric], dict[str, Unavailable]]:
    """Return the metrics that can be computed here, and why the others cannot, both by name.

    A metric without its weights or package is no reason to lose all the others' numbers.
    """
    ready: dict[str, Metric] = {}
    unavailable: dict[str, Unavailable] = {}
    for name, component in components.items():
        metric: Metric = METRICS.build(component)
        try:
            with used_weights() as files:
                metric.prepare(weights_folder)
        except (WeightsError, ConfigError) as error:
            of_set = isinstance(metric, SetMetric)
            unavailable[name] = Unavailable(metric.recipe, metric.higher_is_better, str(error), of_set)
        else:
            metric.weights_files = tuple(files)
            ready[name] = metric.eval()
    return ready, unavailable


def picture_metrics(components: Mapping[str, Component]) -> list[str]:
    """Return the names of those that score pictures one by one."""
    return [name for name, component in components.items() if not isinstance(METRICS.build(component), SetMetric)]


@dataclass(frozen=True)
class Unavailable:
    """A metric that was asked for and cannot be computed here: its recipe, its direction, the remedy, and whether it
    is one of whole sets."""

    recipe: str
    higher_is_better: bool
    reason: str
    of_set: bool = False
