"""Natural image quality evaluator (Mittal, Soundararajan and Bovik, IEEE SPL 2013), per picture, without reference."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from dmdnet.errors import WeightsError
from dmdnet.metrics.base import Metric, MetricInput, Need
from dmdnet.metrics.niqe_features import BLOCK, block_features
from dmdnet.metrics.regions import as_color, check_picture
from dmdnet.metrics.ssim import check_side
from dmdnet.registry import METRICS
from dmdnet.weights import WEIGHTS, find_weights, note_used

_PRISTINE = "niqe_pristine"  # by the names of dmdnet.weights
_FEATURES = 36


@METRICS.register()
class NIQE(Metric):
    """How far the statistics of a picture's 96-pixel blocks are from those of pristine photographs; lower is better.

    The picture is BT.601 luma rounded to whole levels, as BasicSR's is; other tools take grey by other weights. The
    pristine statistics are those that the authors published; BasicSR brings them, else they are looked for in the
    weights folder. No ground truth is needed, and a restored picture can score better than the true one.

    Args:
        crop_border: pixels left out along each side of the picture.
    """

    higher_is_better: ClassVar[bool] = False
    smallest_side = 2 * BLOCK

    def __init__(self, *, crop_border: Annotated[int, Field(ge=0)] = 0) -> None:
        super().__init__()
        self.crop_border = crop_border
        self.needs: frozenset[Need] = frozenset()
        self.undefined = "no two blocks with texture"
        self.recipe = "niqe@y/rounded/block96" + (f"/crop{crop_border}" if crop_border else "")

    def prepare(self, weights_folder: str | None) -> None:
        """Read the pristine statistics; see `Metric.prepare`."""
        self._mean, self._covariance = _read_pristine(_find_pristine(weights_folder))

    def forward(self, inputs: MetricInput) -> Tensor:
        """Return distances (B,), from 0; see `Metric.forward`. Computed on the CPU."""
        check_picture(self.recipe, "prediction", inputs.pred_BCHW)
        crop = self.crop_border
        height, width = inputs.pred_BCHW.shape[-2:]
        picture_BCHW = inputs.pred_BCHW[..., crop : height - crop, crop : width - crop]
        check_side(self.recipe, picture_BCHW, self.smallest_side)
        luma_BHW = as_color(picture_BCHW.cpu(), "y")[:, 0].round().numpy()
        values = [self._distance(block_features(luma_HW)) for luma_HW in luma_BHW]
        return torch.tensor(values, dtype=torch.float64, device=inputs.pred_BCHW.device)

    def _distance(self, features: np.ndarray) -> float:
        """Return equation 10; blocks without variation do not count."""
        whole = features[np.isfinite(features).all(axis=1)]
        if len(whole) < 2:
            return float("nan")
        away = self._mean - np.nanmean(features, axis=0)
        pooled = (self._covariance + np.cov(whole, rowvar=False)) / 2
        return float(np.sqrt(away @ np.linalg.pinv(pooled) @ away))


def _find_pristine(weights_folder: str | None) -> Path:
    package = importlib.util.find_spec("basicsr")  # not imported: only a file in it is wanted
    for folder in (package.submodule_search_locations or ()) if package else ():
        path = Path(folder) / "metrics" / WEIGHTS[_PRISTINE].file
        if path.is_file():
            note_used([path])
            return path
    return find_weights(_PRISTINE, weights_folder)


def _read_pristine(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            mean, covariance = archive["mu_pris_param"].reshape(-1), archive["cov_pris_param"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not NIQE's pristine statistics: {error}; get the file again") from error
    if mean.shape != (_FEATURES,) or covariance.shape != (_FEATURES, _FEATURES):
        raise WeightsError(f"{path}: not NIQE's pristine statistics: {covariance.shape} numbers; get the file again")
    return mean.astype(np.float64), covariance.astype(np.float64)
