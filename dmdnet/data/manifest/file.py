"""Manifest files: a table in one file, opened without reading it.

The file is a safetensors file; `python -m dmdnet manifest FILE` shows what is in it. Its metadata say where the
pictures are, relative to the file's folder, so that folder and file can be moved together.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dmdnet import __version__
from dmdnet.data.manifest.checking import DATA, ENDS, check_tensors
from dmdnet.data.manifest.mapped import MappedFile
from dmdnet.data.manifest.strings import Strings
from dmdnet.data.manifest.table import ARRAY_COLUMNS, TEXT_COLUMNS, Manifest
from dmdnet.data.manifest.tensor_file import check_digest, read_tensors, write_tensors
from dmdnet.data.storage import DiskStorage, LMDBStorage, MountedStorage, Storage, open_storage
from dmdnet.errors import DataError
from dmdnet.files import check_writable

SUFFIX = ".manifest"
FORMAT = "dmdnet.manifest"
VERSION = "1"
ONE = ""  # the name of the storage of a table that has only one


def write_manifest(
    manifest: Manifest, path: str | os.PathLike[str], *, options: Mapping[str, Any] | None = None
) -> Path:
    """Write a table to `path` (suffix `.manifest`), atomically; return the path.

    Args:
        manifest: its pictures and landmark files are in or below the folder of `path`.
        options: how the table was made, for people who look at it; anything that JSON can hold.

    Raises:
        DataError: the path cannot be written or has another suffix, pictures or landmark files lie elsewhere, or the
            table is not valid.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise DataError(f"{path}: the name of a manifest ends in {SUFFIX}")
    check_writable(path)
    tensors = _tensors(manifest, Path(os.path.abspath(path)).parent)
    check_tensors(tensors, manifest.origin)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "made_by": f"dmdnet {__version__}",
        "dataroot": json.dumps(_relative_roots(manifest.storage, path), ensure_ascii=False),
        "options": json.dumps(dict(options or {}), ensure_ascii=False, sort_keys=True),
    }
    return write_tensors(path, tensors, metadata)


def read_manifest(
    path: str | os.PathLike[str], storage: Storage | None = None, *, verify_digest: bool = False
) -> Manifest:
    """Open the table in a file. The columns stay in the file, every value is checked.

    Args:
        path: the file.
        storage: where the pictures are; by default what the file says, relative to its folder.
        verify_digest: also compare all bytes with the digest that was written with them.

    Raises:
        DataError: the file is missing, damaged, of a later version, or not valid, or its pictures' folder is missing.
    """
    mapped = MappedFile(path)
    tensors, metadata = read_tensors(mapped)
    _check_format(mapped, metadata)
    check_tensors(tensors, str(path))
    if verify_digest:
        check_digest(mapped)
    if storage is None:
        storage = _storage(mapped, metadata)
    return _manifest(tensors, mapped, storage, str(path))


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a file says of itself: `version`, `made_by`, `dataroot`, `options`, `sha256`.

    Raises:
        DataError: it is no manifest, or damaged.
    """
    mapped = MappedFile(path)
    metadata = read_tensors(mapped)[1]
    _check_format(mapped, metadata)
    known: dict[str, Any] = dict(metadata)
    return known | {"dataroot": _roots(mapped, metadata), "options": _json(mapped, metadata, "options")}


def _tensors(manifest: Manifest, folder: Path) -> dict[str, np.ndarray]:
    tensors = {"identity": manifest.identity, "split": manifest.split, "is_target": manifest.is_target}
    for name, strings in {**manifest.text, "identities": manifest.identities}.items():
        stored = Strings.of(_below(value, folder) for value in strings) if name == "landmark_file" else strings
        tensors |= {name + DATA: stored.data, name + ENDS: stored.ends}
    tensors |= manifest.arrays
    for name in ("duplicate_of", "reference_ends", "reference_rows"):
        column = getattr(manifest, name)
        if column is not None:
            tensors[name] = column
    return tensors


def _manifest(tensors: Mapping[str, np.ndarray], mapped: MappedFile, storage: Storage, origin: str) -> Manifest:
    prefixes = {"landmark_file": f"{mapped.path.parent}{os.sep}"}
    strings = {
        name: Strings(tensors[name + DATA], tensors[name + ENDS], prefixes.get(name, ""))
        for name in (*TEXT_COLUMNS, "identities")
        if name + DATA in tensors
    }
    identities = strings.pop("identities")
    return Manifest(
        text=strings,
        identities=identities,
        identity=tensors["identity"],
        split=tensors["split"],
        is_target=tensors["is_target"],
        storage=storage,
        origin=origin,
        arrays={name: tensors[name] for name in ARRAY_COLUMNS if name in tensors},
        duplicate_of=tensors.get("duplicate_of"),
        reference_ends=tensors.get("reference_ends"),
        reference_rows=tensors.get("reference_rows"),
        mapped=mapped,
    )


def _below(landmark_file: str, folder: Path) -> str:
    if not landmark_file:
        return ""
    relative = os.path.relpath(landmark_file, folder)
    if _leads_out(relative):
        raise DataError(
            f"{landmark_file}: lies outside of {folder}, where the manifest is to be; write the manifest to a folder "
            "above its pictures and landmarks"
        )
    return Path(relative).as_posix()


def _relative_roots(storage: Storage, path: Path) -> dict[str, str]:
    """Return name -> folder of each storage, relative to the manifest's folder."""
    storages = storage.mounts if isinstance(storage, MountedStorage) else {ONE: storage}
    roots = {}
    for name, one in storages.items():
        if not isinstance(one, DiskStorage | LMDBStorage):
            raise DataError(f"{path}: a manifest names folders and LMDBs; {one.where('')} is neither")
        relative = os.path.relpath(one.root, Path(os.path.abspath(path)).parent)
        if _leads_out(relative):
            raise DataError(
                f"{path}: its pictures are in {one.root}; write the manifest to that folder or to one above it"
            )
        roots[name] = Path(relative).as_posix()
    return roots


def _leads_out(relative: str) -> bool:
    return ".." in re.split(r"[/\\]", relative)


def _check_format(mapped: MappedFile, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise DataError(f"{mapped.path}: is a safetensors file, but no manifest; `python -m dmdnet prepare` makes them")
    if metadata.get("version") != VERSION:
        raise DataError(
            f"{mapped.path}: is a manifest of version {metadata.get('version')!r}, this program reads {VERSION}; "
            "update the program, or make the manifest again"
        )


def _storage(mapped: MappedFile, metadata: Mapping[str, str]) -> Storage:
    folder = mapped.path.parent
    storages = {name: open_storage(folder / root) for name, root in _roots(mapped, metadata).items()}
    return storages[ONE] if set(storages) == {ONE} else MountedStorage(storages)


def _roots(mapped: MappedFile, metadata: Mapping[str, str]) -> dict[str, str]:
    roots = _json(mapped, metadata, "dataroot")
    for root in roots.values():
        if not isinstance(root, str) or PurePosixPath(root).is_absolute() or _leads_out(root) or "\0" in root:
            raise DataError(f"{mapped.path}: dataroot {root!r} leads out of its folder; make the manifest again")
    if not roots or (ONE in roots and len(roots) > 1) or any("/" in name for name in roots):
        raise DataError(f"{mapped.path}: names no dataroot that can be read: {roots}; make the manifest again")
    return roots


def _json(mapped: MappedFile, metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        value = json.loads(metadata.get(name, "{}"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{mapped.path}: its {name} cannot be read ({error}); make the manifest again") from error
    if not isinstance(value, dict):
        raise DataError(f"{mapped.path}: its {name} are no mapping; make the manifest again")
    return value
