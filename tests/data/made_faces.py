"""Small data sets in the layouts of the real ones: smooth random pictures with plausible landmarks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dmdnet.config.options import DatasetOptions
from dmdnet.faces.landmarks import write_landmarks
from dmdnet.images import write_image


def mean_landmarks(size: int = 512) -> np.ndarray:
    """Return 68 landmarks (68, 2) of an upright aligned face in a picture of `size` pixels."""
    angles = np.linspace(np.pi, 0, 17)
    jaw = np.stack([256 + 150 * np.cos(angles), 260 + 190 * np.sin(angles)], axis=1)
    left_brow = np.stack([np.linspace(145, 225, 5), 200 - 12 * np.sin(np.linspace(0, np.pi, 5))], axis=1)
    bridge = np.stack([np.full(4, 256.0), np.linspace(240, 300, 4)], axis=1)
    nostrils = np.stack([np.linspace(228, 284, 5), 318 + 6 * np.sin(np.linspace(0, np.pi, 5))], axis=1)
    left_eye = np.array([[165, 240], [180, 230], [202, 230], [218, 242], [202, 249], [180, 249]], float)
    right_eye = np.array([[294, 242], [310, 230], [332, 230], [347, 240], [332, 249], [310, 249]], float)
    outer = _ring(12, 52, 24)
    inner = _ring(8, 36, 10)
    right_brow = np.array([511.0, 0.0]) + left_brow[::-1] * [-1, 1]
    points = np.concatenate([jaw, left_brow, right_brow, bridge, nostrils, left_eye, right_eye, outer, inner])
    return (points + 0.5) * (size / 512) - 0.5


def _ring(count: int, half_width: float, half_height: float) -> np.ndarray:
    angles = np.pi + np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([256 + half_width * np.cos(angles), 376 + half_height * np.sin(angles)], axis=1)


def picture(seed: int, size: int) -> np.ndarray:
    """Return a smooth random picture with some grain, uint8 (size, size, 3)."""
    rng = np.random.default_rng(seed)
    low = cv2.resize(rng.uniform(40, 215, (8, 8, 3)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(low + rng.normal(0, 8, low.shape), 0, 255).astype(np.uint8)


def write_face(path: Path, landmarks: Path | None, seed: int, size: int) -> None:
    """Write a picture and, when asked for, its landmarks, which differ a little from face to face."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, picture(seed, size))
    if landmarks is not None:
        landmarks.parent.mkdir(parents=True, exist_ok=True)
        points = mean_landmarks(size) + np.random.default_rng(seed).normal(0, size / 100, 2)
        write_landmarks(landmarks, points)


def write_celebref(root: Path, people: dict[str, int], size: int = 64, landmarks: bool = True) -> Path:
    """Write `people` (name: number of pictures) in CelebRef-HQ's layout; return the folder of pictures."""
    for number, (name, count) in enumerate(people.items()):
        for k in range(1, count + 1):
            target = root / "landmarks" / name / f"{k}.png.txt" if landmarks else None
            write_face(root / "images" / name / f"{k}.png", target, 1000 * number + k, size)
    return root / "images"


def celebref_set(root: Path, **changes: object) -> dict[str, object]:
    """Return a data set of `write_celebref`'s pictures as an option file has it inside MixedDataset."""
    return {
        "type": "ReferenceFaceDataset",
        "layout": {"type": "CelebRefHQLayout", "dataroot_gt": str(root)},
        "image_size": 64,
        **changes,
    }


def celebref_options(root: Path, batch: int = 2, workers: int = 0, **changes: object) -> DatasetOptions:
    """Return the same as an entry of `datasets:`, with its loader."""
    loading = {"name": "made", "batch_size_per_gpu": batch, "num_worker_per_gpu": workers}
    return DatasetOptions.model_validate({**loading, **celebref_set(root, **changes)})
