"""A manifest: the table that `python -m dmdnet prepare` writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dmdnet.data.layouts.base import LAYOUTS, README, SplitName, open_root, require_file
from dmdnet.data.manifest import SPLITS, Manifest, read_manifest, select_rows
from dmdnet.errors import DataError


@LAYOUTS.register()
class ManifestLayout:
    """All that is known of the faces, in one file; `python -m dmdnet manifest FILE` shows it.

    Args:
        manifest: the file.
        dataroot: the folder, or an LMDB, with its pictures, if they are not where the file says.
        split: only the faces of this split; all by default.
    """

    def __init__(self, *, manifest: str, dataroot: str | None = None, split: SplitName | None = None) -> None:
        self.path = manifest
        self.dataroot = dataroot
        self.split = split

    def manifest(self) -> Manifest:
        """Return the table of the file, in its order."""
        expected = f"Make it from photographs: python -m dmdnet prepare PHOTOGRAPHS {Path(self.path).parent} {README}"
        require_file(Path(self.path), "manifest", expected)
        storage = open_root(self.dataroot, "dataroot", expected) if self.dataroot else None
        table = read_manifest(self.path, storage)
        if self.split is None:
            return table
        chosen = table.split == SPLITS.index(self.split)
        if not chosen.any():
            found = sorted(SPLITS[code] or "none" for code in np.unique(table.split).tolist())
            raise DataError(f"{self.path}: has no face in the split {self.split!r}, only in {', '.join(found)}")
        return select_rows(table, chosen)
