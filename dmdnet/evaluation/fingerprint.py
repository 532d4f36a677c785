"""What decides a number, in a few characters: equal fingerprints mean that measuring again would give the same."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

import dmdnet
from dmdnet.config.options import DatasetOptions, Options
from dmdnet.registry import plain
from dmdnet.weights import WEIGHTS, weights_folder

_PACKAGES = (
    "torch", "torchvision", "numpy", "opencv-python", "opencv-python-headless", "pillow", "dlib-bin", "facexlib",
    "lpips", "torchmetrics", "torch-fidelity", "pyiqa", "scipy", "basicsr",
)  # fmt: skip
_LENGTH = 16


def fingerprint(content: Mapping[str, Any]) -> str:
    """Return a fingerprint of plain values."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:_LENGTH]


def set_content(
    options: Options, entry: DatasetOptions, recipes: Mapping[str, str], device: torch.device
) -> dict[str, Any]:
    """Return what decides the numbers of a set but for the method: data, metrics, program.

    Files of pictures are not looked at here: `files_stamp` says which version of them a number is of.

    Args:
        recipes: of the metrics that can be computed, by name.
    """
    return {
        "data": plain(entry.dataset),
        "company": entry.batch_size_per_gpu,  # a network's last bits depend on what shares a picture's batch
        "seed": options.manual_seed,
        "metrics": {name: [recipes[name], plain(options.val.metrics[name])] for name in recipes},
        "weights": _weights_stamp(options.path.weights if "weights" in options.path.model_fields_set else None),
        "device": device.type,
        "program": _program(),
    }


def files_stamp(paths: Iterable[str]) -> str:
    """Return a fingerprint of size and time of files in any order; one that is not there counts as such."""
    digest = hashlib.sha256()
    for path in sorted(set(paths)):  # an order that hangs on a process would make every process's stamps its own
        digest.update(f"{path}\0{file_stamp(path)}\0".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:_LENGTH]


def file_stamp(path: str | os.PathLike[str]) -> str:
    """Return size and time of a file, of the LMDB that it is in, or nothing."""
    for place in (path, *(parent / "data.mdb" for parent in Path(path).parents if parent.suffix == ".lmdb")):
        try:
            stat = os.stat(place)
        except (OSError, ValueError):
            continue
        return f"{stat.st_size} {stat.st_mtime_ns}"
    return ""


def _weights_stamp(folder: str | None) -> str:
    """Return the version of the weights that metrics may use."""
    root = weights_folder(folder)
    return files_stamp(str(root / entry.file) for entry in WEIGHTS.values())


@functools.cache
def _program() -> str:
    """Return the version of our code, to the letter, and of the libraries that numbers go through."""
    digest = hashlib.sha256()
    root = Path(dmdnet.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    for package in _PACKAGES:
        try:
            digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
        except importlib.metadata.PackageNotFoundError:
            continue
    return digest.hexdigest()[:_LENGTH]
