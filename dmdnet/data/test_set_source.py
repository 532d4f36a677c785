"""What a test set is made of: faces in whatever form they lie."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from dmdnet.data.layouts import LAYOUTS
from dmdnet.data.manifest import SPLITS, SUFFIX, Manifest, select_rows
from dmdnet.data.storage import open_storage
from dmdnet.data.storage.opening import LMDB_SUFFIX
from dmdnet.data.test_sets import MANIFEST
from dmdnet.errors import ConfigError, DataError
from dmdnet.registry import Component

_SOURCES = f"a folder of aligned faces, NAME{LMDB_SUFFIX} or NAME{SUFFIX}"


def open_source(source: str | os.PathLike[str], *, layout: str | None = None, split: str | None = None) -> Manifest:
    """Return the faces of a manifest file, a prepared folder, a folder of aligned faces, or an LMDB.

    Args:
        source: its path. Folders within a folder (and in an LMDB's keys) are people unless `layout` says otherwise;
            in a flat one every picture is another person.
        layout: name of a layout that needs a `dataroot_gt` only.
        split: only the faces of this split.

    Raises:
        DataError: it does not exist or is of another kind, there is nothing in this layout, or nothing in this split.
        ConfigError: there is no such layout, or it needs more than a `dataroot_gt`.
    """
    path = Path(source)
    if not path.exists():
        raise DataError(f"{source}: does not exist; {_SOURCES} is needed")
    if path.is_file() and path.suffix not in (SUFFIX, LMDB_SUFFIX):
        raise DataError(f"{source}: is a file; {_SOURCES} is needed")
    if layout is None and path.is_dir() and (path / MANIFEST).is_file():
        path = path / MANIFEST
    if path.suffix == SUFFIX:
        component = LAYOUTS.component("ManifestLayout", manifest=str(path))
    else:
        component = _component(layout or _layout(path), path)
    table: Manifest = LAYOUTS.build(component).manifest()
    if layout is None:
        _check_people(path, table)
    if split is None:
        return table
    chosen = table.split == SPLITS.index(split)
    if not chosen.any():
        raise DataError(f"{source}: has no face in the split {split!r}")
    return select_rows(table, chosen)


def _layout(path: Path) -> str:
    keys = open_storage(path).list_keys()
    if not keys:
        raise DataError(f"{path}: holds no picture; {_SOURCES} is needed")
    return "PersonFoldersLayout" if any("/" in key for key in keys) else "FFHQLayout"


def _check_people(path: Path, table: Manifest) -> None:
    """Raise DataError when the only person's folder holds folders: it is a data set's `images` much more likely."""
    if len(table.identities) != 1:
        return
    person, start = table.identities[0], f"{table.identities[0]}/"
    inner = {name.removeprefix(start).split("/")[0] for name in table.text["name"] if name.count("/") > 1}
    if len(inner) > 1:
        raise DataError(
            f"{path}: all its pictures lie in {path / person}, in {len(inner)} folders; if those are the people, give "
            f"{path / person}, and if all of them show one person, say --layout PersonFoldersLayout"
        )


def _component(layout: str, path: Path) -> Component:
    try:
        return LAYOUTS.component(layout, dataroot_gt=str(path))
    except ValidationError:
        raise ConfigError(
            f"layout {layout}: needs more than the folder {path}; give one that needs a dataroot_gt only, or prepare a "
            "manifest"
        ) from None


def check_apart(source: str | os.PathLike[str], output: str | os.PathLike[str]) -> None:
    """Raise DataError when `output` would lie in the folder `source`, and so be taken for its faces the next time."""
    inner, outer = Path(output).resolve(), Path(source).resolve()
    if inner == outer or (outer.is_dir() and outer in inner.parents):
        raise DataError(f"{output}: lies in {source}; choose a folder beside it")
