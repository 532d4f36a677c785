"""The pictures that a run could not use and that others stood in for: named, counted, and limited."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from dmdnet.errors import DataError

logger = logging.getLogger(__name__)

_SHOWN = 3


class SkipLog:
    """Keeps each bad picture's name once, in a file when there is one, and stops the run when there are too many.

    Args:
        total: pictures of the data set.
        max_bad_share: share of them that may be bad; one always may.
        path: text file, a line "name: reason" each. What an earlier run wrote is read back and counts; delete the
            file (or a line) after the pictures have been put right.

    Raises:
        DataError: the file cannot be read.
    """

    def __init__(self, total: int, max_bad_share: float = 0.001, path: str | os.PathLike[str] | None = None) -> None:
        self.total = total
        self.max_bad_share = max_bad_share
        self.path = Path(path) if path is not None else None
        earlier = self._read()
        self.names = dict.fromkeys(_name(line) for line in earlier.splitlines() if line.strip())
        self._whole = earlier.endswith("\n") or not earlier  # a killed run may have left half a line

    @property
    def allowed(self) -> int:
        """How many pictures may be bad."""
        return max(1, int(self.total * self.max_bad_share))

    def add(self, messages: Iterable[str]) -> None:
        """Take the messages "name: reason" of a batch (`FaceBatch.skipped`).

        Raises:
            DataError: a new name is one too many, or the file cannot be written.
        """
        for message in messages:
            # names of files may be bytes that are no text
            line = " ".join(message.split()).encode("utf-8", "backslashreplace").decode()
            if (name := _name(line)) in self.names:
                continue
            self.names[name] = None
            logger.warning("skipped: %s", line)
            self._append(line)
            if len(self.names) > self.allowed:
                raise self._too_many()

    def _too_many(self) -> DataError:
        shown = ", ".join(list(self.names)[-_SHOWN:])
        listed = f"; all are listed with their reasons in {self.path}" if self.path else ""
        return DataError(
            f"{len(self.names)} of {self.total} pictures cannot be used, {self.allowed} may (max_bad_share "
            f"{self.max_bad_share:g}), the last are {shown}{listed}. Put them right, take them out, or raise "
            "max_bad_share"
        )

    def _read(self) -> str:
        if self.path is None:
            return ""
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path}: cannot be read: {error}; delete it to begin a new list") from error

    def _append(self, line: str) -> None:
        if self.path is None:
            return
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(f"{line}\n" if self._whole else f"\n{line}\n")
        except OSError as error:
            raise DataError(f"{self.path}: the list of skipped pictures cannot be written: {error.strerror}") from error
        self._whole = True


def _name(line: str) -> str:
    return line.split(": ", 1)[0]
