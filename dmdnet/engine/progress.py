"""How far a run is: a bar with ETA and it/s on a terminal, nothing between the log lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

T = TypeVar("T")
_LIMITED_BY_DATA = 0.2


class Progress:
    """Shows nothing and prints plain lines; the base of the bar."""

    def print(self, line: str) -> None:
        """Print a line of the log."""
        sys.stderr.write(line + "\n")

    def show(self, iteration: int, total: int, text: str) -> None:
        """Move the bar."""


class _Bar(Progress):
    def __init__(self) -> None:
        self._rich = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
            console=Console(stderr=True),
            refresh_per_second=4,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> _Bar:
        self._rich.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._rich.stop()

    def print(self, line: str) -> None:
        self._rich.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, iteration: int, total: int, text: str) -> None:
        if self._task is None:
            self._task = self._rich.add_task("training", total=total, text=text)
        self._rich.update(self._task, completed=iteration, text=text)


@contextmanager
def open_progress(shown: bool, terminal: bool) -> Iterator[Progress]:
    """Give the bar where someone watches a terminal, else the silent one."""
    if not (shown and terminal):
        yield Progress()
        return
    with _Bar() as bar:
        yield bar


class Clock:
    """Measures speed and the share of the time spent waiting for data.

    Args:
        start: iterations done before this process began.
        total: iterations of the whole run.
    """

    def __init__(self, start: int, total: int) -> None:
        self._start, self._total = start, total
        self._began = self._lap = time.perf_counter()
        self._lap_iteration = start
        self._waited = 0.0

    def wait(self, batches: Iterator[T]) -> T:
        """Return the next batch and count how long it took to come."""
        before = time.perf_counter()
        batch = next(batches)
        self._waited += time.perf_counter() - before
        return batch

    def eta(self, iteration: int) -> timedelta:
        """Return the time left at the average speed of this process."""
        done = max(iteration - self._start, 1)
        seconds = (time.perf_counter() - self._began) / done * (self._total - iteration)
        return timedelta(seconds=round(seconds))

    def lap(self, iteration: int) -> dict[str, float]:
        """Return `it_per_s` and `data_wait_share` since the last lap, and begin another."""
        now = time.perf_counter()
        elapsed = max(now - self._lap, 1e-9)
        speed = {"it_per_s": (iteration - self._lap_iteration) / elapsed, "data_wait_share": self._waited / elapsed}
        self._lap, self._lap_iteration, self._waited = now, iteration, 0.0
        return speed


def progress_line(iteration: int, total: int, eta: timedelta, speed: dict[str, float], terms: dict[str, float]) -> str:
    """Return one line of the log."""
    share = speed["data_wait_share"]
    limit = f"limited by data: {share:.0%}" if share > _LIMITED_BY_DATA else f"data wait {share:.0%}"
    values = " ".join(f"{name}: {value:.4g}" for name, value in terms.items())
    return f"iter {iteration:,}/{total:,}, eta {eta}, {speed['it_per_s']:.2f} it/s, {limit} | {values}"
