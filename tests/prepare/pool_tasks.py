"""Tasks for processes, importable by a spawned one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from dmdnet.errors import DataError


class Doubling:
    """A task for the pool: doubles, and misbehaves for some numbers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, number: int) -> int:
        if number == 13:
            os._exit(7)
        if number == 17 and not (self._folder / "tried").exists():
            (self._folder / "tried").touch()
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == 99:
            raise DataError("the disk is full")
        return 2 * number


def cannot_start() -> None:
    os._exit(3)
