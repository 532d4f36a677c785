"""The folder `OUTPUT/work`: what only `prepare` needs, to go on where it was stopped.

    options.json                     what the pictures were made with
    journal/<shard>_of_<shards>.jsonl  a line for each photograph that is done
    faces/<ab>/<photograph>.png      the aligned pictures, by photograph

When the table is made and no photographs will be added, it can be removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmdnet.errors import DataError
from dmdnet.files import locked, make_folder, write_bytes

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
