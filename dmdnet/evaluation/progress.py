"""How far a set is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dmdnet.evaluation.gather import rank

EVERY = 30.0  # seconds between two lines of a log


@contextmanager
def set_progress(title: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show how many pictures of the first rank's share are done; yield what moves it on.

    Args:
        total: pictures of this rank's share.
        done: of them, those that a run before has done.
    """
    console = Console(stderr=True)
    if rank() != 0:
        yield lambda count: None
    elif console.is_terminal:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(title, total=total, completed=done)
            yield lambda count: bar.advance(task, count)
    else:
        yield _lines(console, title, total, done)


def _lines(console: Console, title: str, total: int, done: int) -> Callable[[int], None]:
    start = last = time.monotonic()
    made = 0

    def advance(count: int) -> None:
        nonlocal made, last
        made += count
        now = time.monotonic()
        if now - last < EVERY:
            return
        last = now
        left = (total - done - made) * (now - start) / max(made, 1)
        console.print(f"{title}: {done + made} of {total} pictures, {left:.0f} s to go", highlight=False, markup=False)

    return advance
