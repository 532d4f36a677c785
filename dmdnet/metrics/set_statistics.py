"""What FID and KID keep of a set of pictures, in memory and in files.

Shape suffixes: N pictures, D features, R rows of a root.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

from dmdnet.errors import DataError
from dmdnet.features.inception import WIDTH, InceptionFeatures
from dmdnet.files import write_bytes
from dmdnet.images import from_hwc, list_images, read_image
from dmdnet.tensor_files import NotTensors, read_tensors

# Features that a file keeps for KID, spread evenly over the pictures: 80 MB.
KEPT_FEATURES = 10_000
_PREFIX = "fid_clean."


@dataclass(frozen=True)
class SetStatistics:
    """Of the features of `count` pictures: their mean, float64.

    `features_ND` are those of all of them, of KEPT_FEATURES of them, or None where a file has none; `saved_DD` is the
    covariance where it did not come from them.
    """

    mean_D: np.ndarray
    count: int
    features_ND: np.ndarray | None = None
    saved_DD: np.ndarray | None = None

    @classmethod
    def of_features(cls, features_ND: np.ndarray) -> SetStatistics:
        """Return the statistics of features, float32 (N, D)."""
        return cls(features_ND.mean(axis=0, dtype=np.float64), len(features_ND), features_ND)

    @cached_property
    def covariance_DD(self) -> np.ndarray:
        """The covariance, divided by N - 1, float64."""
        if self.saved_DD is not None:
            return self.saved_DD
        assert self.features_ND is not None
        centred = self.features_ND - self.mean_D
        found: np.ndarray = centred.T @ centred / max(self.count - 1, 1)
        return found

    @cached_property
    def root_RD(self) -> np.ndarray:
        """A matrix R with the covariance R^T R: the centred features where they are fewer than D, else Cholesky's
        factor, else (the covariance is singular) the symmetric square root, in which rounding's negative eigenvalues
        count as zero."""
        if self.features_ND is not None and 1 < len(self.features_ND) == self.count <= len(self.mean_D):
            few: np.ndarray = (self.features_ND - self.mean_D) / np.sqrt(self.count - 1)
            return few
        try:
            root: np.ndarray = np.linalg.cholesky(self.covariance_DD).T
        except np.linalg.LinAlgError:
            values, vectors = np.linalg.eigh(self.covariance_DD)
            root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
        return root


def evenly(features_ND: np.ndarray, most: int = KEPT_FEATURES) -> np.ndarray:
    """Return at most so many rows, spread evenly."""
    if len(features_ND) <= most:
        return features_ND
    return features_ND[np.linspace(0, len(features_ND) - 1, most).round().astype(int)]


@lru_cache(maxsize=2)
def folder_statistics(
    folder: Path, network: InceptionFeatures, progress: Callable[[int, int], None] | None = None
) -> SetStatistics:
    """Return the statistics of all pictures below a folder, each seen by `network` at its own size.

    Args:
        progress: called with how many pictures are done, and of how many.

    Raises:
        DataError: the folder is missing or has fewer than two pictures, or one cannot be read.
    """
    paths = folder_pictures(folder)
    device = next(network.parameters()).device
    rows = []
    for done, path in enumerate(paths, start=1):
        picture = from_hwc(read_image(path))[None].to(device)
        rows.append(network(picture).cpu().numpy())
        if progress is not None:
            progress(done, len(paths))
    return SetStatistics.of_features(np.concatenate(rows))


def folder_pictures(folder: Path) -> list[Path]:
    """Return the pictures below a folder, sorted.

    Raises:
        DataError: it is missing, or has fewer than two: they have no covariance.
    """
    paths = list_images(folder, recursive=True)
    if len(paths) < 2:
        raise DataError(f"{folder}: has {len(paths)} pictures; statistics need two or more")
    return paths


def write_statistics(path: str | os.PathLike[str], statistics: SetStatistics) -> Path:
    """Write the statistics atomically, as safetensors; the features of at most KEPT_FEATURES pictures are kept.

    Raises:
        DataError: the file cannot be written.
    """
    tensors = {
        "mean": statistics.mean_D,
        "covariance": statistics.covariance_DD,
        "count": np.array(statistics.count, dtype=np.int64),
    }
    if statistics.features_ND is not None:
        tensors["features"] = np.ascontiguousarray(evenly(statistics.features_ND))
    return write_bytes(path, save({_PREFIX + name: array for name, array in tensors.items()}))


def read_statistics(path: str | os.PathLike[str]) -> SetStatistics:
    """Read statistics: ours, or an .npz with `mu` and `sigma` (as clean-fid and pytorch-fid keep them), or `feats`.

    Nothing tells how an .npz was made: only those of clean-fid in its "clean" mode are comparable.

    Raises:
        DataError: no such file, damaged, or of something else.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; `python -m dmdnet fid-statistics FOLDER -o {path}` makes one")
    arrays = _read_npz(path) if path.suffix == ".npz" else _read_safetensors(path)
    if "features" in arrays and "mean" not in arrays:
        return SetStatistics.of_features(_checked(path, arrays["features"], (-1, WIDTH)))
    if not {"mean", "covariance"} <= arrays.keys():
        raise DataError(f"{path}: holds no mean and covariance of features ({', '.join(arrays) or 'nothing'})")
    mean = _checked(path, arrays["mean"], (WIDTH,)).astype(np.float64)
    covariance = _checked(path, arrays["covariance"], (WIDTH, WIDTH)).astype(np.float64)
    features = arrays.get("features")
    count = int(arrays["count"]) if "count" in arrays else 0
    kept = None if features is None else _checked(path, features, (-1, WIDTH)).astype(np.float32)
    return SetStatistics(mean, count, kept, covariance)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        content = read_tensors(path)
    except (OSError, NotTensors) as error:
        raise DataError(f"{path}: not a readable file of statistics: {error}; make it again") from error
    tensors = content.get("params", content) if isinstance(content, dict) else {}
    return {
        key.removeprefix(_PREFIX): value.numpy()
        for key, value in tensors.items()
        if isinstance(value, torch.Tensor) and key.startswith(_PREFIX)
    }


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    names = {"mu": "mean", "sigma": "covariance", "feats": "features"}
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {names[name]: archive[name] for name in archive.files if name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable .npz of statistics: {error}") from error


def _checked(path: Path, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    fits = array.ndim == len(shape) and all(
        wanted in (-1, side) for wanted, side in zip(shape, array.shape, strict=True)
    )
    if not fits or not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
        wanted = " x ".join("N" if side == -1 else str(side) for side in shape)
        raise DataError(f"{path}: wants finite numbers {wanted}, found {array.dtype} {array.shape}")
    return array
