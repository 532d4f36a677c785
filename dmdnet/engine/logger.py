"""The log of a run: one file, and the console. Only rank 0 writes; a rank that fails has a file of its own."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmdnet.engine.distributed import World
from dmdnet.engine.progress import Progress, open_progress
from dmdnet.engine.pulse import UNWRITABLE, rank_log
from dmdnet.errors import CheckpointError, DMDNetError

_ROOT = logging.getLogger("dmdnet")
_FORMAT = "%(asctime)s %(levelname)s: %(message)s"


class _ConsoleHandler(logging.Handler):
    """Prints above the progress bar."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._progress.print(self.format(record))
        except (OSError, ValueError):  # nobody reads there any more, or it is closed: the file has the line, too
            self.handleError(record)


@contextmanager
def run_log(folder: Path, name: str, world: World) -> Iterator[Progress]:
    """Send the package's log to `<folder>/train_<name>_<time>.log` and to the console; give the progress display."""
    with open_progress(shown=world.main, terminal=sys.stderr.isatty()) as progress:
        console = _ConsoleHandler(progress)
        handlers: list[logging.Handler] = []
        if world.main:
            handlers = [_log_file(folder / f"train_{name}_{time.strftime('%Y%m%d_%H%M%S')}.log"), console]
        level = _ROOT.level
        _ROOT.setLevel(logging.INFO if world.main else logging.ERROR)
        for handler in handlers:
            handler.setFormatter(logging.Formatter(_FORMAT))
            _ROOT.addHandler(handler)
        try:
            yield progress
        except DMDNetError as error:
            _ROOT.removeHandler(console)  # the command line prints it there
            _ROOT.error("%s", error)
            _write_failure(folder, world, f"error: {error}\n")
            raise
        except Exception:  # a stop that a signal asked for (SystemExit) is no failure
            _write_failure(folder, world, traceback.format_exc())
            raise
        finally:
            for handler in handlers:
                _ROOT.removeHandler(handler)
                handler.close()
            _ROOT.setLevel(level)


def _log_file(path: Path) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return logging.FileHandler(path, encoding="utf-8", errors=UNWRITABLE)
    except OSError as error:
        raise CheckpointError(
            f"{path}: the log cannot be written: {error.strerror or error}; make room, or set path.experiments_root to "
            "a writable folder"
        ) from error


def _write_failure(folder: Path, world: World, text: str) -> None:
    """Append why a rank failed to its `log_rank<N>.txt`; the launcher may show one rank's words only."""
    try:
        with open(rank_log(folder, world.rank), "a", encoding="utf-8", errors=UNWRITABLE) as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} rank {world.rank} of {world.size}: {text}")
    except OSError as error:  # the failure itself goes on its way
        _ROOT.warning("%s: cannot be written: %s", folder, error.strerror)
