"""TensorBoard, which `logger.use_tb_logger` turns on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from dmdnet.engine.trackers.base import RunInfo, Tracker
from dmdnet.registry import TRACKERS, Runtime


@TRACKERS.register()
class TensorBoardTracker(Tracker):
    """Event files for TensorBoard; what an interrupted run wrote after the iteration it continues from is hidden.

    Args:
        folder: where runs are gathered, each in a folder of its name; null: `tb_logger` in the run's own folder.
        flush_s: seconds after which what was written can be seen.
    """

    shows_pictures = True

    def __init__(
        self, *, run: Runtime[RunInfo], folder: str | None = None, flush_s: Annotated[int, Field(gt=0)] = 30
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only wanted here

        place = run.folder / "tb_logger" if folder is None else Path(folder) / run.name
        self._writer: Any = SummaryWriter(str(place), purge_step=run.iteration + 1, flush_secs=flush_s)

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Write one event a number."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def picture(self, name: str, image_HWC: np.ndarray, iteration: int) -> None:
        """Write a picture."""
        self._writer.add_image(name, image_HWC, iteration, dataformats="HWC")

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()
