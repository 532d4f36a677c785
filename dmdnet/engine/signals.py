"""Stopping at a step's boundary when the machine is taken away."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))
_ONE_REQUEST = 1.0  # seconds: torchrun passes on what a scheduler has sent to all processes already
_WORKERS_END_AFTER = 30  # seconds; by then the step that needs their samples is over


class StopRequest:
    """Remembers the first of SIGTERM, SIGINT and SIGUSR1; 0 until then. A second one ends the process at once.

    The second is seen by a thread, from the pipe into which the system's handler writes: it works as well while the
    main thread waits in a collective or for a disk. What follows within a second belongs to the first.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._pid = os.getpid()
        self._first: float | None = None

    def __call__(self, number: int, frame: Any) -> None:
        """Take note."""
        if os.getpid() == self._pid:
            self.signal = self.signal or number
            return
        # A forked worker: whoever signals all processes of a job gets its last samples, then its end.
        for one in SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        if hasattr(signal, "alarm"):
            signal.alarm(_WORKERS_END_AFTER)

    def watch(self, pipe: int) -> None:
        """Read numbers of signals until the pipe is closed; leave at the second request."""
        while numbers := os.read(pipe, 64):
            for number in numbers:
                if number not in SIGNALS:
                    continue
                now = time.monotonic()
                if self._first is None:
                    self._first = now
                elif now - self._first > _ONE_REQUEST:
                    os._exit(128 + number)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Collect the signals instead of dying of them; the old handlers come back at the end."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # only the main thread may set handlers
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    old = {number: signal.signal(number, request) for number in SIGNALS}
    old_pipe = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(target=request.watch, args=(reading,), name="signals", daemon=True)
    watcher.start()
    try:
        yield request
    finally:
        signal.set_wakeup_fd(old_pipe)
        for number, handler in old.items():
            signal.signal(number, handler)
        os.close(writing)
        watcher.join(timeout=1)  # a forked worker that lives on keeps the pipe open, and the thread with it
        if not watcher.is_alive():
            os.close(reading)


def _forget_the_parents_pipe() -> None:
    if isinstance(signal.getsignal(signal.SIGTERM), StopRequest):
        signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):  # else a signal to a worker would count as one to its parent
    os.register_at_fork(after_in_child=_forget_the_parents_pipe)
