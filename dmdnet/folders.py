"""A folder that appears whole or not at all: made beside its place, then renamed by whoever made it.

A process that is killed leaves its folder behind. The next one that makes the same takes it away: the name says on
which machine and by which process it was made, and the folder is locked as long as that process lives.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: leftovers are named, not removed
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".tmp"
logger = logging.getLogger(__name__)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Make an empty folder beside `path` for its content, and remove what killed processes left of the same.

    At the end the folder is removed, unless it has been renamed to `path`.

    Raises:
        OSError: it cannot be made.
    """
    remove_leftovers(path)
    beside = path.with_name(f".{path.name}.{_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}{_SUFFIX}")
    try:
        beside.mkdir()
        with _locked(beside):
            yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def remove_leftovers(path: Path) -> None:
    """Remove the folders of killed processes of this machine beside `path`; name those that may be somebody's."""
    start = f".{path.name}."
    try:
        found = [each for each in path.parent.iterdir() if each.name.startswith(start) and each.suffix == _SUFFIX]
    except OSError:  # making the folder says why
        return
    for leftover in found:
        if _is_dead(leftover, leftover.name.removeprefix(start)):
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            logger.warning("%s: is left over from a run that was killed, unless one is at work; remove it", leftover)


def _is_dead(folder: Path, rest: str) -> bool:
    """Return whether the process that made `folder` has certainly ended; `rest` is its name from the host on."""
    made_by = re.fullmatch(r"(.+)\.(\d{1,10})\.[0-9a-f]{8}\.tmp", rest)
    if fcntl is None or made_by is None or made_by[1] != _host() or _lives(int(made_by[2])):
        return False
    try:
        with _opened(folder) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # a worker of it lives on, or another machine of the same name is at work
        return False
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder until the end; file systems that cannot are left as they are."""
    if fcntl is None:
        yield
        return
    with _opened(folder) as descriptor:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _host() -> str:
    return socket.gethostname().replace("/", "_").replace(".", "_")[:64]
