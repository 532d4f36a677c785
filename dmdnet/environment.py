"""What numbers depend on beside options and data: the versions of what computes them, and the machine."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

import torch

from dmdnet import __version__

_PACKAGES = ("torch", "torchvision", "numpy", "opencv-python", "pydantic", "tensorboard")


def environment() -> dict[str, Any]:
    """Return the versions and the machine that a run's numbers depend on."""
    versions = {"dmdnet": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "cuda": torch.version.cuda,
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
    }
