"""Kernel Inception distance (Binkowski et al., ICLR 2018) after a clean resize."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from dmdnet.errors import DataError
from dmdnet.metrics.base import SetValue
from dmdnet.metrics.inception_set import InceptionSetMetric, parts_of, with_interval
from dmdnet.metrics.set_statistics import KEPT_FEATURES, SetStatistics, evenly
from dmdnet.registry import METRICS

_ROWS = 1024  # of a kernel matrix at a time


@METRICS.register()
class KID(InceptionSetMetric):
    """The unbiased squared MMD of the Inception features of two sets, with the kernel (x.y / 2048 + 1)^3.

    It is computed over all pairs of pictures (of at most 10,000 of each set); tools that average it over drawn subsets
    estimate the same number. It does not depend on how many pictures there are, and can fall below 0. Not multiplied
    by 1000. Needs torch-fidelity and its weights (`python -m dmdnet weights`).

    Args:
        against: "gt" (the set's own ground truth), a folder of pictures, or a file of statistics that has features, by
            `python -m dmdnet fid-statistics FOLDER -o FILE`. Its name stands in the recipe.
    """

    name: ClassVar[str] = "kid"

    def prepare(self, weights_folder: str | None) -> None:
        """Load the network and the statistics; see `InceptionSetMetric.prepare`."""
        super().prepare(weights_folder)
        if self._saved is not None and self._saved.features_ND is None:
            raise DataError(
                f"{self.against}: has no features, which KID needs; "
                "`python -m dmdnet fid-statistics FOLDER -o FILE` keeps them"
            )

    def compare_pairs(self, pred_ND: np.ndarray, target_ND: np.ndarray) -> SetValue:
        """Return the distance of two or more pictures from their ground truth."""
        sums = KernelSums(evenly(pred_ND), evenly(target_ND), paired=True)
        return with_interval(sums.distance(), sums.distance, sums.parts, _note(len(pred_ND)))

    def compare_with(self, pred_ND: np.ndarray, reference: SetStatistics) -> SetValue:
        """Return the distance of two or more pictures from another set, whose own sampling is not in the interval."""
        if reference.features_ND is None:
            raise DataError(f"{self.against}: has no features, which KID needs")
        sums = KernelSums(evenly(pred_ND), evenly(reference.features_ND), paired=False)
        note = f"against {reference.count} pictures; {_note(len(pred_ND))}".rstrip("; ")
        return with_interval(sums.distance(), sums.distance, sums.parts, note)


class KernelSums:
    """Sums of the kernel between parts of two sets, from which the distance follows with and without a part.

    Args:
        first_ND, second_ND: features.
        paired: row by row they belong together: a part is left out of both sets, else of the first.
    """

    def __init__(self, first_ND: np.ndarray, second_ND: np.ndarray, *, paired: bool) -> None:
        one, two = first_ND.astype(np.float64), second_ND.astype(np.float64)
        cuts = parts_of(len(one))
        whole = cuts if paired else [slice(0, len(two))]
        self.parts = len(cuts)
        self._paired = paired
        self._within1 = _block_sums(one, one, cuts, cuts) - np.diag(_diagonal_sums(one, cuts))
        self._within2 = _block_sums(two, two, whole, whole) - np.diag(_diagonal_sums(two, whole))
        self._between = _block_sums(one, two, cuts, whole)
        self._sizes1 = np.array([cut.stop - cut.start for cut in cuts])
        self._sizes2 = np.array([cut.stop - cut.start for cut in whole])

    def distance(self, without: int | None = None) -> float:
        """Return the unbiased squared MMD of the sets, or of what is left of them without a part."""
        keep1 = np.arange(self.parts) != (-1 if without is None else without)
        keep2 = keep1 if self._paired else np.array([True])
        n, m = int(self._sizes1[keep1].sum()), int(self._sizes2[keep2].sum())
        if min(n, m) < 2:
            return float("nan")
        first = self._within1[np.ix_(keep1, keep1)].sum() / (n * (n - 1))
        second = self._within2[np.ix_(keep2, keep2)].sum() / (m * (m - 1))
        return float(first + second - 2 * self._between[np.ix_(keep1, keep2)].sum() / (n * m))


def _kernel(product: np.ndarray, width: int) -> np.ndarray:
    raised = product / width + 1.0
    result: np.ndarray = raised * raised * raised
    return result


def _block_sums(one: np.ndarray, two: np.ndarray, rows: list[slice], columns: list[slice]) -> np.ndarray:
    starts = [column.start for column in columns]
    sums = np.zeros((len(rows), len(columns)))
    for index, row in enumerate(rows):
        for start in range(row.start, row.stop, _ROWS):
            block = _kernel(one[start : min(start + _ROWS, row.stop)] @ two.T, one.shape[1])
            sums[index] += np.add.reduceat(block.sum(axis=0), starts)
    return sums


def _diagonal_sums(features: np.ndarray, rows: list[slice]) -> np.ndarray:
    own = _kernel((features**2).sum(axis=1), features.shape[1])
    return np.array([own[row].sum() for row in rows])


def _note(count: int) -> str:
    return "" if count <= KEPT_FEATURES else f"{KEPT_FEATURES} of {count} pictures, evenly spread"
