"""Manifests without pictures, and with small ones on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from made_faces import mean_landmarks, picture

from dmdnet.data.manifest import Manifest, Row
from dmdnet.data.storage import DiskStorage
from dmdnet.errors import DataError
from dmdnet.images import write_image


class NoPictures:
    """A storage in which nothing is."""

    def read(self, key: str) -> bytes:
        raise DataError(f"{key}: there is none")

    def list_keys(self) -> list[str]:
        return []

    def where(self, key: str) -> str:
        return key

    def checksum(self, key: str) -> int | None:
        return None


def table(people: Mapping[str, int], **columns: list) -> Manifest:
    """Return a table of `people` (name: number of pictures); `columns` have one value a row."""
    names = [(person, f"{person}/{k}.png") for person, count in people.items() for k in range(1, count + 1)]
    rows = [
        Row(
            **{"name": name, "identity": person, "picture": name, **{key: values[n] for key, values in columns.items()}}
        )
        for n, (person, name) in enumerate(names)
    ]
    return Manifest.from_rows(rows, storage=NoPictures(), origin="made")


def drawn_rows(root: Path, people: Mapping[str, int], size: int = 64, **columns: list) -> list[Row]:
    """Write pictures of `people` below `root`; return their rows, with landmarks in them."""
    rows = []
    for number, (person, count) in enumerate(people.items()):
        for k in range(1, count + 1):
            name = f"{person}/{k}.png"
            (root / person).mkdir(parents=True, exist_ok=True)
            write_image(root / name, picture(1000 * number + k, size))
            known = {key: values[len(rows)] for key, values in columns.items()}
            rows.append(Row(**{"name": name, "identity": person, "picture": name,
                               "landmarks": mean_landmarks(size).astype("float32"), **known}))  # fmt: skip
    return rows


def on_disk(root: Path, rows: list[Row]) -> Manifest:
    """Return the table of rows whose keys are below `root`."""
    return Manifest.from_rows(rows, storage=DiskStorage(root), origin=str(root))
