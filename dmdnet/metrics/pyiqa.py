"""Learned quality of single pictures by pyiqa, where somebody has installed it."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.metrics.base import Metric, MetricInput, Need
from dmdnet.metrics.regions import check_picture
from dmdnet.metrics.ssim import check_side
from dmdnet.ops.precision import torchs_own_precision
from dmdnet.registry import METRICS

Model = Literal["musiq", "musiq-ava", "musiq-spaq", "clipiqa", "clipiqa+", "maniqa", "maniqa-kadid", "maniqa-pipal"]
# pyiqa's name -> ours, with what the network was trained on
_RECIPES: dict[str, str] = {
    "musiq": "musiq@pyiqa/koniq10k",
    "musiq-ava": "musiq@pyiqa/ava",
    "musiq-spaq": "musiq@pyiqa/spaq",
    "clipiqa": "clipiqa@pyiqa/prompts",
    "clipiqa+": "clipiqa@pyiqa/learned-prompts",
    "maniqa": "maniqa@pyiqa/koniq10k",
    "maniqa-kadid": "maniqa@pyiqa/kadid10k",
    "maniqa-pipal": "maniqa@pyiqa/pipal",
}
_SIDE = 224  # of MANIQA's crops


@METRICS.register()
class PyIQA(Metric):
    """MUSIQ (Ke et al., ICCV 2021), CLIP-IQA (Wang et al., AAAI 2023) or MANIQA (Yang et al., CVPRW 2022).

    Without ground truth; they can score a restored picture above the true one. pyiqa is not installed with this
    project (its licence is not for commercial use): `pip install pyiqa`. Its weights must be in its own cache; nothing
    is fetched from here. What MANIQA draws, its crops, is drawn anew from the same seed for each picture.

    Args:
        model: pyiqa's name of the model.
    """

    smallest_side = _SIDE

    def __init__(self, *, model: Model = "musiq") -> None:
        super().__init__()
        self.model: Model = model
        self.needs: frozenset[Need] = frozenset()
        self.recipe = _RECIPES[model]

    def prepare(self, weights_folder: str | None) -> None:
        """Let pyiqa load the model.

        Raises:
            ConfigError: pyiqa is not installed, or cannot be imported.
            WeightsError: it wants to fetch the weights.
        """
        try:
            package = importlib.import_module("pyiqa")
        except ImportError as error:
            raise ConfigError(
                f"{self.recipe} needs pyiqa, which cannot be imported ({error}): pip install pyiqa"
            ) from error
        attempts: list[Any] = []
        try:
            with _no_network(attempts):
                self.network = package.create_metric(self.model, device=torch.device("cpu"))
        except Exception as error:  # pyiqa fetches by several libraries, each with its own errors
            if not attempts:
                raise
            raise WeightsError(
                f"{self.recipe}: pyiqa has no weights of {self.model} in its cache; let it fetch them once: "
                f"python -c \"import pyiqa; pyiqa.create_metric('{self.model}')\""
            ) from error

    @torch.no_grad()
    def forward(self, inputs: MetricInput) -> Tensor:
        """Return scores (B,), higher is better; see `Metric.forward`."""
        check_picture(self.recipe, "prediction", inputs.pred_BCHW)
        check_side(self.recipe, inputs.pred_BCHW, self.smallest_side)
        pictures = inputs.pred_BCHW.float() / 255  # pyiqa brings [0, 1] to what the model wants
        devices = [pictures.device] if pictures.device.type == "cuda" else []
        values = []
        with torchs_own_precision(pictures.device), torch.random.fork_rng(devices):
            for picture in pictures.split(1):
                torch.manual_seed(0)
                values.append(self.network(picture).reshape(1))
        return torch.cat(values).double()


@contextmanager
def _no_network(attempts: list[Any]) -> Iterator[None]:
    """Let look-ups of other machines fail inside the block; each is noted in `attempts`."""
    usual = socket.getaddrinfo

    def refuse(host: Any, *_: Any, **__: Any) -> Any:
        attempts.append(host)
        raise OSError("nothing is fetched while metrics are prepared")

    socket.getaddrinfo = refuse
    try:
        yield
    finally:
        socket.getaddrinfo = usual
