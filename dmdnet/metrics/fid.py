"""Frechet Inception distance (Heusel et al., NeurIPS 2017) after a clean resize (Parmar et al., CVPR 2022)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from dmdnet.features.inception import WIDTH
from dmdnet.metrics.base import SetValue
from dmdnet.metrics.inception_set import InceptionSetMetric, parts_of, with_interval
from dmdnet.metrics.set_statistics import SetStatistics
from dmdnet.registry import METRICS


@METRICS.register()
class FID(InceptionSetMetric):
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of the Inception features of two sets.

    Pictures are brought to 299 pixels by an antialiased bicubic filter, not rounded. It falls with the number of
    pictures: compare only numbers of as many, and against the same set. Needs torch-fidelity and its weights
    (`python -m dmdnet weights`).

    Args:
        against: "gt" (the set's own ground truth), a folder of pictures, or a file of statistics, by
            `python -m dmdnet fid-statistics FOLDER -o FILE` or clean-fid's .npz. Its name stands in the recipe.
    """

    name: ClassVar[str] = "fid"

    def compare_pairs(self, pred_ND: np.ndarray, target_ND: np.ndarray) -> SetValue:
        """Return the distance of two or more pictures from their ground truth."""
        parts = parts_of(len(pred_ND))

        def without(part: int) -> float:
            return distance_of_features(np.delete(pred_ND, parts[part], 0), np.delete(target_ND, parts[part], 0))

        value = distance_of_features(pred_ND, target_ND)
        return with_interval(value, without, len(parts), _note(len(pred_ND)))

    def compare_with(self, pred_ND: np.ndarray, reference: SetStatistics) -> SetValue:
        """Return the distance of two or more pictures from another set, whose own sampling is not in the interval."""
        parts = parts_of(len(pred_ND))

        def distance(features_ND: np.ndarray) -> float:
            own = SetStatistics.of_features(features_ND)
            return frechet_distance(own.mean_D, own.root_RD, reference.mean_D, reference.root_RD)

        note = f"against {reference.count or 'an unknown number of'} pictures; {_note(len(pred_ND))}".rstrip("; ")
        return with_interval(
            distance(pred_ND), lambda part: distance(np.delete(pred_ND, parts[part], 0)), len(parts), note
        )


def distance_of_features(first_ND: np.ndarray, second_ND: np.ndarray) -> float:
    """Return the distance of the Gaussians of two sets of features."""
    first, second = SetStatistics.of_features(first_ND), SetStatistics.of_features(second_ND)
    return frechet_distance(first.mean_D, first.root_RD, second.mean_D, second.root_RD)


def frechet_distance(mean1_D: np.ndarray, root1: np.ndarray, mean2_D: np.ndarray, root2: np.ndarray) -> float:
    """Return the squared Frechet distance of two Gaussians whose covariances are `root.T @ root`, never below 0.

    The trace of (C1 C2)^(1/2) is the sum of the singular values of root1 root2^T, so that no root of an unsymmetric,
    nearly singular matrix is taken, and a few pictures need only a small matrix.
    """
    product = root1 @ root2.T
    if product.shape[0] > product.shape[1]:
        product = product.T
    trace = np.sqrt(np.linalg.eigvalsh(product @ product.T).clip(min=0)).sum()
    value = ((mean1_D - mean2_D) ** 2).sum() + (root1**2).sum() + (root2**2).sum() - 2 * trace
    return max(float(value), 0.0)


def _note(count: int) -> str:
    return "" if count >= WIDTH else f"biased upwards: {count} pictures for {WIDTH} features"
