"""Timing on a machine that does other things, too: rounds that take turns, their median and their spread."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch


@dataclass(frozen=True)
class Timing:
    """Seconds that one piece of work took, round by round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.seconds)

    @property
    def ms(self) -> float:
        """The median in milliseconds."""
        return 1e3 * self.median

    @property
    def per_s(self) -> float:
        """Pieces of work a second, by the median."""
        return 1.0 / self.median

    def as_dict(self) -> dict[str, Any]:
        """Return milliseconds (median, quickest, slowest round) and pieces a second."""
        low, high = min(self.seconds), max(self.seconds)
        return {
            "ms": round(self.ms, 4),
            "ms_range": [round(1e3 * low, 4), round(1e3 * high, 4)],
            "per_s": round(self.per_s, 2),
        }


def take_turns(work: Mapping[str, Sequence[Callable[[], object]]], rounds: int) -> dict[str, Timing]:
    """Time several ways of doing the same pieces of work; returns seconds per piece.

    In a round, piece after piece is done in every way, one directly after the other, so that what else the machine
    does falls on all of them alike. One round before the first is not counted.

    Args:
        work: the pieces of each way; every way has as many.
        rounds: how many rounds.
    """
    names = list(work)
    pieces = list(zip(*work.values(), strict=True))
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        spent = dict.fromkeys(names, 0.0)
        for piece in pieces:
            for name, call in zip(names, piece, strict=True):
                start = time.perf_counter()
                call()
                spent[name] += time.perf_counter() - start
        if number:
            for name in names:
                seconds[name].append(spent[name] / len(pieces))
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


@contextmanager
def one_core() -> Iterator[None]:
    """Let OpenCV and torch use one thread, and afterwards as many as before."""
    threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cpu": _cpu_name(),
        "cores": cores(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "torch": torch.__version__,
        },
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:  # there is no such file but on Linux
        pass
    return platform.processor() or platform.machine()
