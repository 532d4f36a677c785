"""The folder `OUTPUT/work`: what only `prepare` needs, to go on where it was stopped.

    options.json                     what the pictures were made with
    journal/<shard>_of_<shards>.jsonl  a line for each photograph that is done
    faces/<ab>/<photograph>.png      the aligned pictures, by photograph

When the table is made and no photographs will be added, it can be removed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmdnet.errors import DataError
from dmdnet.files import write_bytes

FORMAT = 1  # of journal and pictures: another one gives other results


@dataclass(frozen=True)
class Workspace:
    """The files below `OUTPUT/work`."""

    output: Path

    @property
    def root(self) -> Path:
        """The folder itself."""
        return self.output / "work"

    @property
    def faces(self) -> Path:
        """The folder of the aligned pictures by photograph."""
        return self.root / "faces"

    @property
    def journals(self) -> Path:
        """The folder of the journals."""
        return self.root / "journal"

    def begin(self, options: Mapping[str, Any]) -> None:
        """Write down the options that this OUTPUT is made with, or compare them with those it was begun with.

        Raises:
            DataError: they differ (each difference is named), the folder cannot be written, or it holds files that
                `prepare` did not make.
        """
        wanted = {"format": FORMAT, **options}
        path = self.root / "options.json"
        if self.output.is_file():
            raise DataError(f"{self.output}: is a file; OUTPUT is a folder")
        if self.output.is_dir() and not self.root.is_dir() and any(self.output.iterdir()):
            raise DataError(f"{self.output}: holds files that `prepare` did not make; choose a new folder as OUTPUT")
        make_folder(self.root)
        with locked(self.root / "options.lock"):  # shards begin at the same time
            if path.is_file():
                self._compare(path, wanted)
            else:
                write_bytes(path, (json.dumps(wanted, indent=1) + "\n").encode())

    def sweep(self, wanted: Collection[str]) -> None:
        """Remove what is in `faces` besides `wanted`: of photographs that are gone, and halves of killed processes."""
        for folder, _, files in os.walk(self.faces):
            for name in files:
                path = Path(folder, name)
                if path.relative_to(self.faces).as_posix() not in wanted:
                    path.unlink(missing_ok=True)

    def _compare(self, path: Path, wanted: Mapping[str, Any]) -> None:
        try:
            found = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{path}: cannot be read ({error}); remove {self.output} and begin anew") from error
        differences = [
            f"{name} was {found.get(name)!r}, now it is {wanted.get(name)!r}"
            for name in sorted({*found, *wanted})
            if found.get(name) != wanted.get(name)
        ]
        if differences:
            raise DataError(
                f"{self.output}: was begun with other options: {'; '.join(differences)}. Go on with those it was "
                "begun with, or choose another OUTPUT"
            )


def make_folder(path: Path) -> Path:
    """Make a folder and those above it.

    Raises:
        DataError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: the folder cannot be made: {error.strerror or error}") from error
    return path


@contextmanager
def locked(path: Path, busy: str | None = None) -> Iterator[Any]:
    """Open a file for appending, unbuffered, for this process alone; a killed process leaves no lock behind.

    Args:
        path: made when it is missing.
        busy: the message when another process has it; None waits for it instead.

    Raises:
        DataError: the file cannot be opened, or another process has it.
    """
    try:
        file = open(path, "ab", buffering=0)  # noqa: SIM115  closed below, after the block
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        yield file
    except BlockingIOError:
        raise DataError(str(busy)) from None
    finally:
        file.close()
