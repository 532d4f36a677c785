"""Grids of pictures, to see what a network does.

Shape suffixes: B batch, R references, C channels, H W pixels.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch
from dmdnet.errors import DataError
from dmdnet.files import write_bytes
from dmdnet.images import read_image, to_hwc, to_uint8, write_image

GRID_FACES = 4
SAMPLES = "samples"
_GRID_REFERENCES = 3
_CONTROL = "input"  # a mode that gives the degraded picture itself
logger = logging.getLogger(__name__)


class Samples(NamedTuple):
    """The first faces of a validation set as they were restored: uint8 (3, H', W'), and what its columns are."""

    grid_CHW: Tensor
    columns: tuple[str, ...]


def first_faces(batch: FaceBatch, count: int = GRID_FACES) -> FaceBatch:
    """Return the first faces of a batch, degraded where that was still pending."""
    return batch.rows(slice(count)).degraded()


def picture_grid(batch: FaceBatch, restored: Mapping[str, Tensor]) -> Tensor:
    """Return one row per face: degraded, each restored picture, target, references; uint8 (3, H', W').

    Args:
        batch: the faces, on any device.
        restored: name -> float RGB [-1, 1] (B, 3, H, W).
    """
    columns = [batch.lq_BCHW, *(to_uint8(picture) for picture in restored.values())]
    if batch.gt_BCHW is not None:
        columns.append(batch.gt_BCHW)
    if batch.references is not None:
        images_BRCHW = batch.references.images_BRCHW[:, :_GRID_REFERENCES].cpu()
        shown_BR = batch.references.mask_BR[:, :_GRID_REFERENCES, None, None, None].cpu()
        columns += list((images_BRCHW * shown_BR).unbind(dim=1))
    rows_BCHW = torch.cat([column.cpu() for column in columns], dim=-1)
    return torch.cat(list(rows_BCHW), dim=-2)


def restored_samples(batch: FaceBatch, restored: Mapping[str, Tensor]) -> Samples:
    """Return the grid of the first faces of a batch."""
    faces = first_faces(batch)
    shown = {mode: pictures[:GRID_FACES] for mode, pictures in restored.items() if mode != _CONTROL}
    grid = picture_grid(faces, shown)
    columns = ["degraded", *shown, *(["target"] if faces.gt_BCHW is not None else [])]
    references = grid.shape[-1] // faces.lq_BCHW.shape[-1] - len(columns)
    return Samples(grid, (*columns, *(f"reference {number + 1}" for number in range(references))))


def write_samples(folder: Path, set_name: str, samples: Samples, iteration: int) -> None:
    """Write `samples/<set>.jpg`, and beside it what it shows; those of the validation before are replaced."""
    place = folder / SAMPLES
    about = {"iteration": iteration, "columns": samples.columns}
    try:
        place.mkdir(exist_ok=True)
        write_image(place / f"{set_name}.jpg", to_hwc(samples.grid_CHW))
        write_bytes(place / f"{set_name}.json", json.dumps(about).encode())
    except (OSError, DataError) as error:  # pictures to look at are no reason to end a training
        logger.warning("%s: no samples of the validation are written: %s", place, error)


def read_samples(folder: Path) -> dict[str, tuple[Samples, int]]:
    """Return set -> its samples and their iteration; what cannot be read is left out."""
    found = {}
    for path in sorted((folder / SAMPLES).glob("*.json")):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            grid_CHW = torch.from_numpy(read_image(path.with_suffix(".jpg"))).permute(2, 0, 1)
            columns = tuple(str(column) for column in about["columns"])
            found[path.stem] = (Samples(grid_CHW, columns), int(about["iteration"]))
        except (OSError, ValueError, KeyError, TypeError, DataError):
            continue
    return found
