"""What FID and KID share: the features, what they are compared with, and intervals.

Shape suffixes: B batch, C channels, H W pixels, N pictures, D features.
"""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor

from dmdnet.errors import DataError
from dmdnet.features.inception import InceptionFeatures, load_inception
from dmdnet.metrics.base import MetricInput, SetMetric, SetValue
from dmdnet.metrics.regions import check_picture
from dmdnet.metrics.set_statistics import SetStatistics, folder_pictures, folder_statistics, read_statistics

GROUND_TRUTH = "gt"
PARTS = 20
_WIDTH_OF_95 = 1.96


class InceptionSetMetric(SetMetric):
    """A number of Inception features after a clean resize.

    Args:
        against: "gt" for the set's own ground truth, a folder of pictures, or a file of statistics.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool] = False
    network: InceptionFeatures

    def __init__(self, *, against: str = GROUND_TRUTH) -> None:
        super().__init__()
        self.against = against
        self.needs = frozenset({"target"}) if against == GROUND_TRUTH else frozenset()
        self.recipe = f"{self.name}@clean/{_label(against)}"
        self._saved: SetStatistics | None = None

    def prepare(self, weights_folder: str | None) -> None:
        """Load the network and look at what the pictures are compared with; see `Metric.prepare`.

        Raises:
            DataError: the folder or the file of statistics is not there or not usable.
        """
        self.network = load_inception(weights_folder)
        if self.against == GROUND_TRUTH:
            return
        if Path(self.against).is_dir():
            folder_pictures(Path(self.against))
        else:
            self._saved = read_statistics(self.against)

    def forward(self, inputs: MetricInput) -> Tensor:
        """Return the features of each prediction, float32 (B, 2048); see `SetMetric.forward`."""
        check_picture(self.recipe, "prediction", inputs.pred_BCHW)
        if self.network not in inputs.pred_memo:
            inputs.pred_memo[self.network] = self.network(inputs.pred_BCHW)
        found: Tensor = inputs.pred_memo[self.network]
        return found

    def target_features(self, inputs: MetricInput) -> Tensor:
        """Return the same of each target, made once for all methods and for both of these metrics."""
        if inputs.target_BCHW is None:
            raise DataError(f"{self.recipe}: there is no ground truth to compare with")
        if self.network not in inputs.target_memo:
            inputs.target_memo[self.network] = self(MetricInput(inputs.target_BCHW))
        found: Tensor = inputs.target_memo[self.network]
        return found

    def compare(self, pred_ND: np.ndarray, target_ND: np.ndarray | None, *, seed: int) -> SetValue:
        """Return the number with an interval; nothing is drawn, so that `seed` does not matter.

        The interval is 1.96 standard errors to each side, by the jackknife that leaves out one of 20 consecutive parts
        of the set (both pictures of a pair): neighbours are pictures of one person more often than not.

        Raises:
            DataError: predictions and targets differ in number.
        """
        if self.needs and (target_ND is None or len(target_ND) != len(pred_ND)):
            found = "no" if target_ND is None else str(len(target_ND))
            raise DataError(f"{self.recipe}: {len(pred_ND)} predictions and {found} targets; they come in pairs")
        if len(pred_ND) < 2:
            return SetValue(math.nan, note="two pictures or more are needed")
        if target_ND is None:
            return self.compare_with(pred_ND, self._reference())
        return self.compare_pairs(pred_ND, target_ND)

    @abstractmethod
    def compare_pairs(self, pred_ND: np.ndarray, target_ND: np.ndarray) -> SetValue:
        """Return the number of two or more pictures against their own ground truth."""

    @abstractmethod
    def compare_with(self, pred_ND: np.ndarray, reference: SetStatistics) -> SetValue:
        """Return the number of two or more pictures against another set."""

    def _reference(self) -> SetStatistics:
        return self._saved or folder_statistics(Path(self.against), self.network)


def parts_of(count: int) -> list[slice]:
    """Return at most PARTS consecutive parts, about equally long, that `count` pictures are cut into."""
    edges = np.linspace(0, count, min(PARTS, count) + 1).round().astype(int)
    return [slice(int(start), int(stop)) for start, stop in pairwise(edges)]


def _label(against: str) -> str:
    """Return the name of a set in a recipe: that of its folder, or of its file without the suffix.

    A folder named `gt` is not the set's own ground truth, and is named with the folder that it is in.
    """
    if against == GROUND_TRUTH:
        return GROUND_TRUTH
    path = Path(os.path.abspath(against))
    name = path.name
    for suffix in (".npz", ".safetensors"):
        name = name.removesuffix(suffix)
    return f"{path.parent.name}-{name}" if name == GROUND_TRUTH else name


def with_interval(value: float, without: Callable[[int], float], parts: int, note: str) -> SetValue:
    """Return `value` with 1.96 standard errors by the jackknife over parts.

    Args:
        without: the number of the set without part 0, 1, ...
        parts: how many there are; fewer than three give no interval.
    """
    if parts < 3:
        return SetValue(value, note=note)
    left = np.array([without(part) for part in range(parts)])
    error = math.sqrt((parts - 1) / parts * float(((left - left.mean()) ** 2).sum()))
    width = _WIDTH_OF_95 * error
    return SetValue(value, value - width, value + width, f"95 %, jackknife over {parts} consecutive parts", note)
