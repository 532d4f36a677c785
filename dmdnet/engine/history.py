"""What a run has logged, as lines of JSON in its folder: read by `runs`, by a run that goes on, and by its page.

`validation.jsonl` has the values of every validation, `scalars.jsonl` those of every report of the training. A run that
goes on from an earlier iteration says so in a line of its own: what stands above it of later iterations belongs to a
past that did not happen.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dmdnet.engine.trackers.base import RunInfo, Tracker

NAME = "validation.jsonl"
SCALARS = "scalars.jsonl"
_BACK = "back_to"
_DIGITS = 6
_WAITING = 1000  # reports of a disk that takes none; some kilobytes each
logger = logging.getLogger(__name__)


def append_validation(folder: Path, iteration: int, values: Mapping[str, float]) -> None:
    """Add a line. A disk that takes no line does not end the training: the log has the values as well."""
    _append_if_possible(folder / NAME, {"iteration": iteration, "values": dict(values)})


def append_return(folder: Path, iteration: int) -> None:
    """Say that the run goes on from `iteration`, where `validation.jsonl` knows later ones."""
    if any(known > iteration for known in read_validations(folder)):
        _append_if_possible(folder / NAME, {_BACK: iteration})


def read_validations(folder: Path) -> dict[int, dict[str, float]]:
    """Return iteration -> values; the later of two for one iteration, and no line that a kill has cut off."""
    return _read(folder / NAME)


class ScalarHistory(Tracker):
    """The tracker that every run has: `scalars.jsonl`.

    A disk that takes no line is one warning. The reports wait in memory, the last `_WAITING` of them, for the next
    attempt, which comes with the next report and at the end; what is lost is said then.
    """

    def __init__(self, run: RunInfo) -> None:
        self._path = run.folder / SCALARS
        if run.iteration == 0:
            with contextlib.suppress(OSError):  # the line below makes void what is left
                self._path.unlink(missing_ok=True)
        self._return: list[dict[str, Any]] = [{_BACK: run.iteration}]
        self._waiting: deque[dict[str, Any]] = deque(maxlen=_WAITING)
        self._pushed_out = 0
        self._failing = False
        self._write()

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Add a line, or keep it for the next attempt."""
        rounded = {name: float(f"{value:.{_DIGITS}g}") for name, value in values.items()}
        self._pushed_out += len(self._waiting) == _WAITING
        self._waiting.append({"iteration": iteration, "values": rounded})
        self._write()

    def close(self) -> None:
        """Write what waits, or say that it is lost."""
        if not self._return and not self._waiting:
            return
        self._write()
        lost = self._pushed_out + len(self._waiting)
        if lost:
            logger.warning("%s: %d reports are lost; the log has them", self._path, lost)

    def _write(self) -> None:
        """Write all that waits: a line of it that was written before a failure comes again, which changes nothing."""
        try:
            _append(self._path, *self._return, *self._waiting)
        except OSError as error:
            if not self._failing:
                why = error.strerror or error
                logger.warning("%s: cannot be written: %s; tried again with every report", self._path, why)
            self._failing = True
            return
        if self._failing:
            logger.info("%s: is written again; %d reports are lost", self._path, self._pushed_out)
        self._failing, self._pushed_out, self._return = False, 0, []
        self._waiting.clear()


def read_scalars(folder: Path) -> dict[int, dict[str, float]]:
    """Return iteration -> values by `group/name`, in order; as `read_validations`."""
    return _read(folder / SCALARS)


def _append_if_possible(path: Path, record: Mapping[str, Any]) -> None:
    try:
        _append(path, record)
    except OSError as error:
        logger.warning("%s: cannot be written: %s", path, error.strerror or error)


def _append(path: Path, *records: Mapping[str, Any]) -> None:
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    with open(path, "ab+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        torn = file.read(1) not in (b"\n", b"")  # by a kill or a full disk
        file.write((b"\n" if torn else b"") + lines)


def _read(path: Path) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            record = json.loads(line)
            if _BACK in record:
                start = int(record[_BACK])
                found = {iteration: values for iteration, values in found.items() if iteration <= start}
                continue
            iteration = int(record["iteration"])
            values = {str(key): float(value) for key, value in record["values"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        found[iteration] = {**found.get(iteration, {}), **values}
    return dict(sorted(found.items()))
