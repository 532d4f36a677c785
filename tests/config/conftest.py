"""Toy components, so that these tests do not depend on the options of real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from dmdnet.registry import ARCHS, DATASETS, DEGRADATIONS, LOSSES, METRICS, MODELS, OPTIMIZERS, Component, Runtime


class ToyNet:
    def __init__(self, *, channels: int = 8, size: int = 64, act: Literal["relu", "gelu"] = "relu") -> None:
        """A network."""


class OtherNet:
    def __init__(self, *, channels: int = 8, depth: int = 2, act: Literal["silu"] = "silu") -> None:
        """Another network: shares `channels`, not `size`; `act` has other values."""


class ToyDegradation:
    def __init__(self, *, sigma: tuple[float, float] = (0.1, 2.0)) -> None:
        """A degradation."""


class ToyDataset:
    def __init__(
        self,
        *,
        root: str,
        size: Annotated[int, Field(gt=0)] = 64,
        share: Annotated[float, Field(ge=0, le=1)] = 0.5,
        count: int | tuple[int, int] = 1,
        flip: bool = True,
        ids: tuple[str, ...] = (),
        degradations: tuple[Annotated[Component, DEGRADATIONS], ...] = (),
        seed: Runtime[int | None] = None,
    ) -> None:
        """A data set."""


class ToyLoss:
    def __init__(self, *, loss_weight: float = 1.0) -> None:
        """A loss."""


class ToyGANLoss:
    needs_discriminator = True

    def __init__(self, *, loss_weight: float = 1.0, gan_type: Literal["hinge", "lsgan"] = "hinge") -> None:
        """A loss that needs a discriminator."""


class ToyModel:
    modes = ("input", "generic", "specific", "wrong_person")

    def __init__(self, *, steps: int = 1) -> None:
        """A model."""


class ToyMetric:
    def __init__(self, *, crop: int = 0) -> None:
        """A metric."""


def toy_adam(*, params: Runtime[list[int]], lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> None:
    """An optimiser."""


def toy_sgd(*, params: Runtime[list[int]], lr: float, momentum: float = 0.0) -> None:
    """An optimiser."""


TOYS = {
    ARCHS: {"ToyNet": ToyNet, "OtherNet": OtherNet},
    DATASETS: {"ToyDataset": ToyDataset},
    DEGRADATIONS: {"ToyDegradation": ToyDegradation},
    LOSSES: {"ToyLoss": ToyLoss, "ToyGANLoss": ToyGANLoss},
    MODELS: {"ToyModel": ToyModel},
    METRICS: {"ToyMetric": ToyMetric},
    OPTIMIZERS: {"ToyAdam": toy_adam, "ToySGD": toy_sgd},
}

TRAIN_YAML = """\
name: toy
model: {type: ToyModel}
network_g:
  type: ToyNet
  channels: 16
datasets:
  train:
    name: faces
    type: ToyDataset
    root: data/faces
    batch_size_per_gpu: 2
    degradations:
      - type: ToyDegradation
        sigma: [0.2, 1.0]
train:
  total_iter: 1000
  optim_g: {type: ToyAdam, lr: 2e-4}
  losses:
    - type: ToyLoss
      loss_weight: 10
"""


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry, components in TOYS.items():
        monkeypatch.setattr(registry, "_components", dict(components))
        monkeypatch.setattr(registry, "_schemas", {})
        monkeypatch.setattr(registry, "_loaded", True)


@pytest.fixture
def train_yml(tmp_path: Path, toys: None) -> Path:
    path = tmp_path / "train.yml"
    path.write_text(TRAIN_YAML, encoding="utf-8")
    return path
