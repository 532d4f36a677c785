"""Decoding pictures, and whole training samples with references from the loader."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from dmdnet.benchmarks.timing import cores, take_turns
from dmdnet.config.options import DatasetOptions
from dmdnet.data.batch import FaceBatch
from dmdnet.data.demo_faces import make_demo_faces
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.data.storage import DiskStorage, Storage, open_storage, write_lmdb
from dmdnet.images import decode_image

REFERENCES = 4
BATCH = 4
_STRETCHES = 3


def make_pictures(folder: Path, size: int, people: int, each: int, photo: np.ndarray) -> Path:
    """Write demo faces (PNG), `photo` and the first face as PNG and JPEG, and LMDBs of all; return the faces' folder.

    Args:
        folder: an empty one.
        size: side of the demo faces in pixels.
        people, each: how many people, how many pictures of each.
        photo: uint8 RGB.
    """
    make_demo_faces(folder / "faces", identities=people, images_per_identity=each, size=size, seed=0)
    faces = folder / "faces" / "images"
    kinds = {".png": [cv2.IMWRITE_PNG_COMPRESSION, 3], ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95]}
    face = decode_image((faces / "00001" / "1.png").read_bytes())
    for suffix, options in kinds.items():
        only = folder / suffix[1:]
        only.mkdir()
        for name, rgb in (("photo", photo), ("face", face)):
            data = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)[1]
            (only / f"{name}{suffix}").write_bytes(data.tobytes())
        write_lmdb(DiskStorage(only), folder / f"{suffix[1:]}.lmdb", workers=1)
    write_lmdb(DiskStorage(faces), folder / "faces" / "images.lmdb", workers=1)
    return faces


def time_decoding(folder: Path, rounds: int, repeats: int) -> dict[str, dict[str, Any]]:
    """Return `decode_<picture>_<kind>_<storage>`: milliseconds and pictures a second, of reading and decoding.

    `opencv` is `cv2.imread` alone; ours looks for damage, EXIF and size in the same bytes. The files are in the
    system's cache.
    """
    table: dict[str, dict[str, Any]] = {}
    for kind in ("png", "jpg"):
        from_disk, lmdb = DiskStorage(folder / kind), open_storage(folder / f"{kind}.lmdb")
        for name in ("photo", "face"):
            key = f"{name}.{kind}"
            work: dict[str, Sequence[Callable[[], object]]] = {
                "disk": [partial(_decode, from_disk, key)] * repeats,
                "lmdb": [partial(_decode, lmdb, key)] * repeats,
                "opencv": [partial(cv2.imread, str(folder / kind / key))] * repeats,
            }
            size = (folder / kind / key).stat().st_size
            for way, timing in take_turns(work, rounds).items():
                table[f"decode_{name}_{kind}_{way}"] = {**timing.as_dict(), "bytes": size}
    return table


def _decode(storage: Storage, key: str) -> np.ndarray:
    return decode_image(storage.read(key), key)


def time_loader(roots: Mapping[str, Path], size: int, samples: int, workers: Sequence[int]) -> dict[str, float]:
    """Return `<storage>, <n> workers`: samples a second of the training loader, each with REFERENCES references.

    A sample is a face, degraded as in `gfpgan`, with boxes, and its references: 1 + REFERENCES decoded PNGs.

    Args:
        roots: the people's folder (or LMDB) of each storage.
        size: side of the pictures.
        samples: how many to load after the first batches.
        workers: numbers of worker processes, 0 is the main process.
    """
    landmarks = next(iter(roots.values())).parent / "landmarks"
    table = {}
    for storage, root in roots.items():
        for count in workers:
            batches = _batches(root, landmarks, size, count, REFERENCES, "worker")
            table[f"{storage}, {count} workers"] = round(_rate(batches, count, samples), 2)
    return table


def time_loader_with_device(root: Path, size: int, samples: int, device: torch.device) -> dict[str, float]:
    """Return samples a second, without references, with as many workers as cores, degraded by workers or by `device`.

    Both bring the batch to the device.
    """
    landmarks, count = root.parent / "landmarks", cores()
    table = {}
    for place in ("worker", "device"):
        batches = _batches(root, landmarks, size, count, 0, place)
        ready = (batch.to(device, non_blocking=True).degraded() for batch in batches)
        table[f"degraded by the {place}, {count} workers"] = round(_rate(ready, count, samples, device), 2)
    return table


def _batches(root: Path, landmarks: Path, size: int, workers: int, references: int, place: str) -> Iterator[FaceBatch]:
    options = DatasetOptions.model_validate(
        {
            "name": "bench",
            "type": "ReferenceFaceDataset",
            "layout": {
                "type": "CelebRefHQLayout",
                "dataroot_gt": str(root),
                "dataroot_landmarks": str(landmarks),
            },
            "image_size": size,
            "degradation": ({"type": "Preset", "name": "gfpgan"},),
            "degrade_on": place,
            "num_references": (references, references),
            "batch_size_per_gpu": BATCH,
            "num_worker_per_gpu": workers,
        }
    )
    return iter(build_loader(build_dataset(options, seed=0, phase="train"), options, phase="train"))


def _rate(batches: Iterator[FaceBatch], workers: int, samples: int, device: torch.device | None = None) -> float:
    """Return the median of three stretches of `samples` together, in samples a second."""
    for _ in range(1 + 2 * workers):  # until every worker has started and its queue is full
        next(batches)
    rates = []
    for _ in range(_STRETCHES):
        start, seen = time.perf_counter(), 0
        while seen * _STRETCHES < samples:
            seen += len(next(batches))
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        rates.append(seen / (time.perf_counter() - start))
    return statistics.median(rates)


def worker_counts() -> tuple[int, ...]:
    """Return the numbers of workers to measure: none, one, one a core."""
    return tuple(sorted({0, 1, cores()}))
