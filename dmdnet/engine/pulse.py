"""Ranks that listen to each other's pulse: one that stops is named, and no process waits for it for ever.

A thread of every rank writes a count into the processes' common store and reads those of the others; another thread
judges what it found, because the first may itself be stuck when the process that holds the store has stopped. A rank
that computes, or waits in a collective or for a disk, has a pulse all the same; one that was stopped (SIGSTOP), frozen
or cut off from the network has none.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXIT_CODE = 5
_SLOWEST_BEAT = 5.0
UNWRITABLE = "backslashreplace"  # names of files may be bytes that are no text: an error about one must come out


@contextlib.contextmanager
def beating(pulse: Pulse) -> Iterator[None]:
    """Let a rank be heard. Only one that ends well, or stops as all have agreed, says goodbye.

    One that fails is missed: a collective that does not notice that it has gone (NCCL's) would wait for it.
    """
    pulse.start()
    try:
        yield
    except SystemExit:
        pulse.stop()
        raise
    except BaseException:  # KeyboardInterrupt, too: whatever it was, this rank leaves alone
        pulse.stop(goodbye=False)
        raise
    pulse.stop()


def rank_log(folder: Path, rank: int) -> Path:
    """Return the file into which a rank writes when it fails."""
    return folder / f"log_rank{rank}.txt"


class Pulse:
    """The pulse of this rank, and its ear for those of the others.

    Args:
        store: a connection of its own to the store that all ranks share.
        timeout_s: how long a rank may be silent before all others end their processes.
        folder: where `log_rank<N>.txt` goes; None writes to stderr only.
    """

    def __init__(self, store: Any, rank: int, size: int, timeout_s: float, folder: Path | None = None) -> None:
        self._store, self._rank, self._size, self._timeout, self._folder = store, rank, size, timeout_s, folder
        self._interval = min(timeout_s / 10, _SLOWEST_BEAT)
        self._over = threading.Event()
        now = time.monotonic()
        self._heard = dict.fromkeys(range(size), now)
        self._texts: dict[int, dict[str, Any]] = {}
        self._store_answered = now
        self._threads = [
            threading.Thread(target=work, name=f"pulse-{work.__name__}", daemon=True)
            for work in (self._exchange, self._judge)
        ]

    def start(self) -> None:
        """Begin; returns once this rank's first beat is in the store."""
        self._beat(0)
        for thread in self._threads:
            thread.start()

    def stop(self, goodbye: bool = True) -> None:
        """End; say goodbye, so that nobody misses this rank, or that its process is not to be ended by others."""
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=self._interval)  # a beat that is on its way must not come after the goodbye
        with contextlib.suppress(RuntimeError):  # the store went with the rank that held it
            self._beat(-1 if goodbye else 0, ended=True)

    def _beat(self, count: int, ended: bool = False) -> None:
        text = {"count": count, "host": socket.gethostname(), "pid": os.getpid(), "ended": ended}
        self._store.set(self._key(self._rank), json.dumps(text))

    def _key(self, rank: int) -> str:
        return f"dmdnet/pulse/{rank}"

    def _exchange(self) -> None:
        count = 0
        while not self._over.wait(self._interval):
            count += 1
            try:
                self._beat(count)
                self._listen()
            except RuntimeError:  # torch's errors of a store that has gone; `_judge` gives it time
                continue

    def _listen(self) -> None:
        for rank in range(self._size):
            key = self._key(rank)
            if rank == self._rank or not self._store.check([key]):
                continue
            text = json.loads(self._store.get(key))
            if text != self._texts.get(rank) or text["count"] < 0:
                self._texts[rank] = text
                self._heard[rank] = time.monotonic()
        self._store_answered = time.monotonic()

    def _judge(self) -> None:
        before = time.monotonic()
        while not self._over.wait(self._interval):
            now = time.monotonic()
            if now - before > 5 * self._interval:  # this process itself was stopped: it has nothing to say of others
                self._heard = dict.fromkeys(self._heard, now)
                self._store_answered = now
            before = now
            if now - self._store_answered > self._timeout:
                self._end("the process that holds the store of the run (rank 0, or its torchrun) does not answer", ())
            # While the store does not answer, nobody can be heard: that says nothing of them.
            last = self._store_answered
            silent = tuple(r for r, at in self._heard.items() if r != self._rank and last - at > self._timeout)
            if silent:
                self._end("; ".join(map(self._describe, silent)), silent)

    def _describe(self, rank: int) -> str:
        text = self._texts.get(rank, {})
        return f"rank {rank} (process {text.get('pid')} on {text.get('host')}) has not been heard"

    def _end(self, complaint: str, silent: tuple[int, ...]) -> None:
        """Say who is missing, leave the stacks, end the silent ones of this machine and then this process."""
        line = (
            f"rank {self._rank}: {complaint} for {self._timeout:g} s (dist_params.hang_timeout_s). "
            "This process ends; the same command goes on from the last checkpoint\n"
        )
        sys.stderr.write(f"error: {line}")
        sys.stderr.flush()
        if self._folder is not None:
            path = rank_log(self._folder, self._rank)
            with contextlib.suppress(OSError), open(path, "a", encoding="utf-8", errors=UNWRITABLE) as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}")
                file.flush()
                faulthandler.dump_traceback(file)
        for rank in silent:
            text = self._texts.get(rank, {})
            if text.get("host") == socket.gethostname() and not text.get("ended"):  # else the number may be another's
                with contextlib.suppress(OSError):  # it ended by itself
                    os.kill(text["pid"], signal.SIGKILL)  # the only signal that a stopped process obeys
        os._exit(EXIT_CODE)
