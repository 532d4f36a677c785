"""What a tracker is: where the numbers and pictures of a run go to be looked at.

A new one is one file in this package:

    @TRACKERS.register()
    class MyTracker(Tracker):
        packages = ("mytracker",)

        def __init__(self, *, run: Runtime[RunInfo], address: str) -> None: ...
        def scalars(self, values: Mapping[str, float], iteration: int) -> None: ...

and in the option file `logger: {trackers: [{type: MyTracker, address: ...}]}`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from dmdnet.config.options import Options


@dataclass(frozen=True)
class RunInfo:
    """The run that is tracked.

    Args:
        folder: `experiments/<name>`.
        iteration: the one that it continues from; what an interrupted run has tracked after it is void.
        options: all of them.
    """

    folder: Path
    iteration: int
    options: Options

    @property
    def name(self) -> str:
        """The run's name."""
        return self.options.name


class Tracker(ABC):
    """Takes numbers and pictures. It may raise whatever it likes: training goes on without it (`engine.tracking`).

    It is made in the main thread and called by a thread of its own, one call at a time.
    """

    packages: ClassVar[tuple[str, ...]] = ()  # modules that it imports and that the project does not require
    shows_pictures: ClassVar[bool] = False  # pictures are not made for nobody

    @abstractmethod
    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Take numbers by `group/name`."""

    def picture(self, name: str, image_HWC: np.ndarray, iteration: int) -> None:  # noqa: B027  (not all show pictures)
        """Take one uint8 RGB picture."""

    def close(self) -> None:  # noqa: B027  (not all hold something open)
        """Write what is held back, and end."""
