"""Reading the weights of the frozen networks that losses compare pictures with."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import torch
from torch import Tensor

from dmdnet.errors import WeightsError


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a file of weights; nothing in it is executed.

    Raises:
        WeightsError: the file is not a readable state dict.
    """
    try:
        state = torch.load(Path(path), map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path}: not a readable weights file; download it again") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: holds a {type(state).__name__}, not a state dict")
    return state
