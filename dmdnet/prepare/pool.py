"""Work spread over processes, of which any may die without taking the rest along."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

import cv2
import torch

from dmdnet.errors import DataError, DMDNetError

Task = TypeVar("Task")
Result = TypeVar("Result")
_READY = "ready"


class _Refused:
    """An error that ends all work, on its way to the parent."""

    def __init__(self, message: str) -> None:
        self.message = message


def run_tasks(
    make: Callable[..., Callable[[Task], Result]],
    arguments: Sequence[Any],
    tasks: Iterable[Task],
    workers: int,
    died: Callable[[Task, str], Result],
) -> Generator[Result, None, None]:
    """Yield the result of every task, in no order.

    Args:
        make: called with `arguments` in every process; returns the function that does a task. Importable by name.
        workers: processes; 0 works in this process, where a crash ends everything.
        died: gives the result of a task whose process died twice; it is tried again alone after all others, so that
            a task that ran out of memory has all there is.

    Raises:
        DMDNetError: what `make` or a task raises.
    """
    if workers == 0:
        work = make(*arguments)
        for task in tasks:
            yield work(task)
        return
    again: list[tuple[Task, str]] = []
    with _Pool(make, arguments, workers) as pool:
        yield from pool.run(tasks, again)
    if again:
        lost: list[tuple[Task, str]] = []
        with _Pool(make, arguments, 1) as pool:
            yield from pool.run([task for task, _ in again], lost)
        for task, how in lost:
            yield died(task, how)


class _Pool(Generic[Task, Result]):
    def __init__(self, make: Callable[..., Callable[[Task], Result]], arguments: Sequence[Any], workers: int) -> None:
        # spawn: a forked copy of a process with running threads can hang, and would hold the other workers' pipes
        self._context = multiprocessing.get_context("spawn")
        self._start = (make, tuple(arguments))
        self._workers = workers
        self._processes: dict[Connection, Any] = {}
        self._doing: dict[Connection, Task] = {}

    def __enter__(self) -> _Pool[Task, Result]:
        return self

    def __exit__(self, *exception: object) -> None:
        for connection in self._processes:
            connection.close()  # a process that waits for work reads the end of its pipe and leaves
        for process in self._processes.values():
            if exception[0] is not None:
                process.terminate()
            process.join()

    def run(self, tasks: Iterable[Task], again: list[tuple[Task, str]]) -> Iterator[Result]:
        """Yield results; tasks whose process died are added to `again` with how it died."""
        waiting = deque(tasks)
        for _ in range(min(self._workers, len(waiting))):
            self._add_process()
        starting = set(self._processes)
        while self._doing or (waiting and self._processes):
            for connection in wait(list(self._processes)):
                assert isinstance(connection, Connection)
                try:
                    message = connection.recv()
                except (EOFError, ConnectionError):
                    how = self._bury(connection)
                    if connection in starting:
                        raise DataError(
                            f"a working process ended at its start ({how}); call `prepare` in a file below "
                            'if __name__ == "__main__", or with --workers 0 to see why'
                        ) from None
                    if connection in self._doing:
                        again.append((self._doing.pop(connection), how))
                    if waiting:
                        starting.add(self._add_process())
                    continue
                if isinstance(message, _Refused):
                    raise DataError(message.message)
                starting.discard(connection)
                done = self._doing.pop(connection, None) is not None
                if waiting:
                    task = waiting.popleft()
                    self._doing[connection] = task
                    with suppress(ConnectionError):  # it died just now: its pipe says so next
                        connection.send(task)
                if done:
                    yield message

    def _add_process(self) -> Connection:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, *self._start), daemon=True)
        with _without_interrupts():
            process.start()
        theirs.close()
        self._processes[ours] = process
        return ours

    def _bury(self, connection: Connection) -> str:
        process = self._processes.pop(connection)
        connection.close()
        process.join()
        code = process.exitcode
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that are started here are not reached by Ctrl-C, which a terminal sends to all: the parent decides."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(connection: Connection, make: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
    """Do tasks until the parent closes the pipe, or dies."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        work = make(*arguments)
        connection.send(_READY)
        while True:
            connection.send(work(connection.recv()))
    except DMDNetError as error:
        connection.send(_Refused(str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
