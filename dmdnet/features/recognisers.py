"""The face recognisers that identity is measured with, each loaded once per process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from dmdnet.errors import WeightsError
from dmdnet.faces.five_points import CHIP_SIDE
from dmdnet.features.arcface import FaceEmbedding, load_arcface
from dmdnet.features.onnx_network import NotOnnx, OnnxNetwork
from dmdnet.features.sharing import shared
from dmdnet.weights import find_weights

Recogniser = Literal["ir_se50", "w600k_r50"]


def load_recogniser(name: Recogniser, weights_folder: str | None) -> FaceEmbedding:
    """Return a recogniser for pictures of 112 pixels; everyone who asks for it gets the same one.

    `ir_se50` is facexlib's ArcFace (trained on MS-Celeb-1M), `w600k_r50` insightface's of the pack buffalo_l (trained
    on WebFace600K), which ReF-LDM trains, selects data and evaluates with.

    Raises:
        ConfigError: its package is not installed.
        WeightsError: its weights are missing, unreadable, or another network's.
    """
    weights, load = _RECOGNISERS[name]
    path = find_weights(weights, weights_folder).resolve()
    return shared((name, path), lambda: load(path))


def _ir_se50(path: Path) -> FaceEmbedding:
    return FaceEmbedding(load_arcface(str(path.parent)))


def _w600k_r50(path: Path) -> FaceEmbedding:
    try:
        network = FaceEmbedding(OnnxNetwork(path), bgr=False)
        _try(network)
    except (OSError, NotOnnx) as error:
        raise WeightsError(f"{path}: not insightface's w600k_r50: {error}; download it again") from error
    return network


@torch.no_grad()
def _try(network: FaceEmbedding) -> None:
    """Raise NotOnnx unless the network gives a vector for a picture: a file may hold another network."""
    try:
        found = network(torch.zeros(1, 3, CHIP_SIDE, CHIP_SIDE))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:  # sizes that do not fit
        raise NotOnnx(f"it takes no picture of {CHIP_SIDE} pixels ({str(error).splitlines()[0]})") from error
    if found.dim() != 2 or not found.isfinite().all():
        raise NotOnnx(f"it gives no vector for a picture of {CHIP_SIDE} pixels")


_RECOGNISERS: dict[str, tuple[str, Callable[[Path], FaceEmbedding]]] = {
    "ir_se50": ("arcface_ir_se50", _ir_se50),
    "w600k_r50": ("arcface_w600k_r50", _w600k_r50),
}
