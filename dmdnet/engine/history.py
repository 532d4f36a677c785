"""`experiments/<name>/validation.jsonl`: the values of every validation, one line each.

A run that goes on from an earlier iteration says so in a line of its own: what stands above it of later iterations
belongs to a past that did not happen.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "validation.jsonl"
logger = logging.getLogger(__name__)


def append_validation(folder: Path, iteration: int, values: Mapping[str, float]) -> None:
    """Add a line. A disk that takes no line does not end the training: the log has the values as well."""
    _append(folder, {"iteration": iteration, "values": dict(values)})


def append_return(folder: Path, iteration: int) -> None:
    """Say that the run goes on from `iteration`, where the file knows later ones."""
    if any(known > iteration for known in read_validations(folder)):
        _append(folder, {"back_to": iteration})


def _append(folder: Path, record: Mapping[str, Any]) -> None:
    try:
        with open(folder / NAME, "ab+") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(end - 1, 0))
            torn = file.read(1) not in (b"\n", b"")  # by a kill
            file.write((b"\n" if torn else b"") + json.dumps(record).encode() + b"\n")
    except OSError as error:
        logger.warning("%s: cannot be written: %s", folder / NAME, error.strerror or error)


def read_validations(folder: Path) -> dict[int, dict[str, float]]:
    """Return iteration -> values; the later of two for one iteration, and no line that a kill has cut off."""
    found: dict[int, dict[str, float]] = {}
    try:
        lines = (folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            record = json.loads(line)
            if "back_to" in record:
                found = {known: values for known, values in found.items() if known <= int(record["back_to"])}
                continue
            found[int(record["iteration"])] = {str(key): float(value) for key, value in record["values"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found
