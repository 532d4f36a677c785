"""What is done is written down, a line a photograph, so that a killed preparation goes on where it was.

A photograph's line is written after its pictures. A line that was cut short is worth nothing: its photograph is done
again, with the same result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dmdnet.errors import DataError
from dmdnet.files import locked, make_folder
from dmdnet.prepare.record import Finished, from_line, to_line
from dmdnet.prepare.scan import Photograph
from dmdnet.prepare.workspace import Workspace


def read_journals(workspace: Workspace, photographs: Sequence[Photograph]) -> dict[str, Finished]:
    """Return the finished ones of `photographs` by name, from the journals of all shards.

    A photograph whose size or time is another one now, or whose pictures are gone, is not finished.

    Raises:
        DataError: a journal cannot be read, or none of what is finished is in INPUT.
    """
    stamps = {photograph.name: photograph.stamp for photograph in photographs}
    finished: dict[str, Finished] = {}
    seen, strange = False, True
    for path in sorted(workspace.journals.glob("*.jsonl")):
        for record in _records(path):
            seen, strange = True, strange and record.photograph not in stamps
            whole = all(not face.file or (workspace.faces / face.file).is_file() for face in record.faces)
            worse = record.passing and record.photograph in finished
            if whole and not worse and stamps.get(record.photograph) == record.stamp:
                finished[record.photograph] = record
    if seen and strange:
        raise DataError(
            f"{workspace.output}: was made from other photographs, none of which is in this INPUT; choose another "
            "OUTPUT"
        )
    return finished


def _records(path: Path) -> Iterator[Finished]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    yield from_line(line)
                except (ValueError, KeyError, TypeError):
                    continue  # cut short by a kill or a full disk
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


class Journal:
    """The journal of one shard, open for appending."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path = path
        self._file = file

    def append(self, finished: Finished) -> None:
        """Write a photograph down.

        Raises:
            DataError: the disk is full, or the file cannot be written; what was written before stays.
        """
        line = memoryview(to_line(finished).encode())
        end = os.fstat(self._file.fileno()).st_size
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            os.ftruncate(self._file.fileno(), end)
            raise DataError(
                f"{self._path}: cannot be written: {error.strerror or error}; what is done stays done: make room and "
                "run the same command again"
            ) from error


@contextmanager
def open_journal(workspace: Workspace, shard: int, shards: int) -> Iterator[Journal]:
    """Open the journal of shard `shard` (from 0) of `shards`, for this process alone.

    Raises:
        DataError: another process has it, or it cannot be written.
    """
    path = make_folder(workspace.journals) / f"{shard + 1}_of_{shards}.jsonl"
    busy = f"{workspace.output}: another process prepares shard {shard + 1}/{shards} there; let it end first"
    with locked(path, busy) as file:
        whole = path.read_bytes().rfind(b"\n") + 1
        os.ftruncate(file.fileno(), whole)  # else the next line would be lost together with the torn one
        yield Journal(path, file)
