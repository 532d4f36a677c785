"""One process group to a run folder: `experiments/<name>/run.lock`.

Two locks in one file, since neither is enough everywhere:

- fcntl's, on the open file: the system lets go of it when the process dies, however it dies. It is checked first.
- The text in the file (host, pid, start) and its time of change, which the owner renews every `BEAT` seconds. It speaks
  where fcntl does not work or does not reach other machines (some network file systems).

A lock is stale, and taken over, when fcntl's is free and the text is of this machine and its process has gone, or is of
another machine and has not been renewed for `STALE_AFTER` seconds. The clocks of two machines need not agree: unless
the file is very old, the new start watches it for that long before it takes the run over.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from dmdnet.engine.distributed import World
from dmdnet.errors import CheckpointError, RunLockedError

try:
    import fcntl
except ImportError:  # Windows: the text alone
    fcntl = None  # type: ignore[assignment]

NAME = "run.lock"
BEAT = 10.0
STALE_AFTER = 60.0
_SURELY_OLD = 3600.0
_PATIENCE = 1.0  # `python -m dmdnet runs` holds the lock for an instant when it looks
_held: set[Path] = set()  # fcntl's locks are a process's: two runs in one process would not see each other
logger = logging.getLogger(__name__)


@contextmanager
def run_lock(folder: Path, world: World) -> Iterator[None]:
    """Hold the run's lock; rank 0 takes it for all ranks.

    Raises:
        RunLockedError: another process has it; on every rank.
        CheckpointError: the folder cannot be written.
    """
    refusal: Exception | None = None
    lock: Lock | None = None
    if world.main:
        try:
            lock = Lock.take(folder)
        except (RunLockedError, CheckpointError) as error:
            refusal = error
    if world.highest(int(refusal is not None)):
        raise refusal or RunLockedError(f"{folder}: rank 0 could not take the lock of the run; its message says why")
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


class Lock:
    """The lock of one run, held by this process; made by `Lock.take`."""

    def __init__(self, path: Path, descriptor: int, fcntl_works: bool) -> None:
        self.path = path
        self._descriptor = descriptor
        self._text = _about_this_process(fcntl_works)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="run-lock", daemon=True)

    @classmethod
    def take(cls, folder: Path, *, stale_after: float = STALE_AFTER, use_fcntl: bool = True) -> Lock:
        """Take the lock of `folder`, after waiting until one of another machine is certainly stale.

        Raises:
            RunLockedError: a living process has it.
            CheckpointError: the folder cannot be written.
        """
        path = (folder / NAME).absolute()
        if path in _held:
            raise RunLockedError(_refusal(path, _about_this_process(True)))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise CheckpointError(
                f"{path}: cannot be written: {error.strerror or error}; set path.experiments_root to a writable folder"
            ) from error
        with ExitStack() as unless_taken:
            unless_taken.callback(os.close, descriptor)
            works = use_fcntl and _take_fcntl(path, descriptor)
            _wait_until_stale(path, descriptor, stale_after, fcntl_works=works)
            lock = cls(path, descriptor, works)
            try:
                lock._write(lock._text)
            except OSError as error:  # not even a line has room on a full disk
                raise CheckpointError(
                    f"{path}: cannot be written: {error.strerror or error}; make room, or set path.experiments_root to "
                    "another disk"
                ) from error
            if not works:
                lock._settle()
            unless_taken.pop_all()
        _held.add(path)
        lock._thread.start()
        return lock

    def release(self) -> None:
        """Let go of the run; the file stays, and says nothing."""
        self._over.set()
        self._thread.join()
        if _read(self._descriptor) == self._text:
            self._write({})
        os.close(self._descriptor)
        _held.discard(self.path)

    def _write(self, text: Mapping[str, Any]) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(text).encode() if text else b"", 0)

    def _settle(self) -> None:
        """Without fcntl two may have seen the same stale text: the one that wrote last has it."""
        time.sleep(0.2)
        owner = _read(self._descriptor)
        if owner != self._text:
            raise RunLockedError(_refusal(self.path, owner))

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            with suppress(OSError):  # a file server that is away for a while; the next beat may reach it
                os.utime(self._descriptor)


def is_held(folder: Path) -> bool:
    """Return whether a living process has the run; for those who only look."""
    path = (folder / NAME).absolute()
    if path in _held:  # opening and closing the file would let go of fcntl's lock
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        owner = _read(descriptor)
        if not owner:
            return False
        if fcntl is not None and owner.get("fcntl"):
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if owner.get("host") == socket.gethostname():
                return False
        return time.time() - os.fstat(descriptor).st_mtime < STALE_AFTER
    except OSError:  # the lock is taken
        return True
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> dict[str, Any]:
    """Return what an open lock file says of its owner: host, pid, started; empty when nobody has it."""
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:  # its owner was killed while it wrote
        return {}
    return owner if isinstance(owner, dict) else {}


def _take_fcntl(path: Path, descriptor: int) -> bool:
    """Take fcntl's lock; return False where the file system has none."""
    if fcntl is None:
        return False
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except (BlockingIOError, PermissionError):  # POSIX allows both for "somebody has it"
            if time.monotonic() > deadline:
                raise RunLockedError(_refusal(path, _read(descriptor))) from None
            time.sleep(0.05)
        except OSError:
            return False


def _wait_until_stale(path: Path, descriptor: int, stale_after: float, fcntl_works: bool) -> None:
    """Return once nobody can have the run; refuse at the first sign of life."""
    owner = _read(descriptor)
    if not owner:
        return
    if owner.get("host") == socket.gethostname() and (fcntl_works or not _alive(owner.get("pid"))):
        return
    seen = os.fstat(descriptor).st_mtime
    if time.time() - seen > _SURELY_OLD:
        return
    logger.warning("%s is of host %s; waiting %g s for a sign of life of it", path, owner.get("host"), stale_after)
    deadline = time.monotonic() + stale_after
    while time.monotonic() < deadline:
        time.sleep(min(0.5, stale_after / 4))
        if os.fstat(descriptor).st_mtime != seen or _read(descriptor) != owner:
            raise RunLockedError(_refusal(path, owner))


def _alive(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, TypeError, ValueError):
        return False
    except PermissionError:  # somebody else's, and living
        return True
    return True


def _about_this_process(fcntl_works: bool) -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "fcntl": fcntl_works,
    }


def _refusal(path: Path, owner: Mapping[str, Any]) -> str:
    who = f"process {owner.get('pid')} on {owner.get('host')}, since {owner.get('started')}" if owner else "a process"
    return (
        f"{path.parent}: this run is already being trained ({who}). Wait for it or stop it, or choose another 'name'; "
        "a run whose process has died is free at once on the same machine, and after a minute from another"
    )
