"""Fixed test sets: faces degraded once, written out, and the same to the last byte whenever they are made again.

The parameters of a picture follow from the seed and the picture's name, exactly as in a data set of test phase, so
that a written set and one that is degraded on the fly have the same pictures. `provenance.json` keeps them all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from dmdnet.data.manifest import SUFFIX, Manifest, Row, write_manifest
from dmdnet.data.provenance import FILE as PROVENANCE
from dmdnet.data.provenance import Provenance, read_recipe, versions
from dmdnet.data.storage import DiskStorage, MountedStorage
from dmdnet.data.test_set_pictures import GT, LQ, Recipe, make_pictures, png_name
from dmdnet.degradations.presets import PRESETS
from dmdnet.errors import ConfigError, DataError
from dmdnet.files import write_bytes
from dmdnet.folders import folder_beside
from dmdnet.registry import plain

MANIFEST = f"faces{SUFFIX}"

Progress = Callable[[int, int], None]


def make_test_set(
    source: Manifest,
    output: str | os.PathLike[str],
    recipe: Recipe,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Write `gt/`, `lq/`, `faces.manifest` and `provenance.json` to `output`, all or nothing; return the manifest.

    Rows that are references only get no degraded picture. A set that is there already and has the same provenance is
    left as it is.

    Args:
        source: aligned faces with their sharp pictures.
        output: a folder that is not there yet, or empty.
        workers: processes.
        progress: called with (pictures done, pictures in all).

    Raises:
        DataError: `output` holds something else or cannot be written, or a picture of the source cannot be used.
    """
    _check_workers(workers)
    output = Path(output)
    if output.name in ("", ".."):
        raise DataError(f"{output}: give the folder to make a name of its own")
    if not output.parent.is_dir():
        raise DataError(f"{output}: its folder {output.parent} does not exist; make it first")
    _check_free_or_alike(output, recipe)  # before minutes of work
    try:
        with folder_beside(output) as beside:
            provenance = _make(source, beside, recipe, workers, progress)
            if _is_free(output):
                beside.rename(output)
            else:
                _check_same(output, provenance)
    except OSError as error:
        raise DataError(f"{output}: cannot be written: {error.strerror or error}") from error
    return output / MANIFEST


def verify_test_set(
    source: Manifest,
    output: str | os.PathLike[str],
    recipe: Recipe,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> int:
    """Make the set again and compare every byte with `output`; return the number of files.

    Raises:
        DataError: a file is missing, one too many is there, or one differs; the message names the first and says
            whether its pixels differ, too.
    """
    _check_workers(workers)
    output = Path(output)
    if not output.is_dir():
        raise DataError(f"{output}: there is no such folder; make the test set without --verify first")
    _check_recipe(output, recipe)
    with tempfile.TemporaryDirectory(prefix="dmdnet_verify_") as folder:
        again = Path(folder)
        _make(source, again, recipe, workers, progress)
        names = _files(again)
        if names != _files(output):
            odd = sorted(set(names) ^ set(_files(output)))
            what = "is missing" if odd[0] in names else "does not belong to the set"
            raise DataError(f"{output}: {odd[0]} {what}; {len(odd)} such files in all")
        different = [name for name in names if (again / name).read_bytes() != (output / name).read_bytes()]
        if different:
            raise DataError(_difference(output, again, different, len(names)))
    return len(names)


def _make(source: Manifest, folder: Path, recipe: Recipe, workers: int, progress: Progress | None) -> str:
    """Write the set into an empty folder and return its provenance."""
    rows = list(source)
    _check_rows(source, rows)
    made, pictures = [], {}
    with (
        tempfile.TemporaryDirectory(prefix="dmdnet_landmarks_") as landmarks,
        # closed before what it writes to is removed
        closing(make_pictures(source.storage, rows, folder, recipe, landmarks, workers)) as results,
    ):
        for number, (row, entry) in enumerate(results, start=1):
            made.append(row)
            pictures[row.name] = entry
            if progress is not None:
                progress(number, len(rows))
        found_landmarks = any(Path(landmarks).iterdir())
    storage = MountedStorage({part: DiskStorage(folder / part) for part in (GT, LQ)})
    manifest = Manifest.from_rows(made, storage=storage, origin=source.origin)
    write_manifest(manifest, folder / MANIFEST, options={"test_set": vars(recipe)})
    provenance = Provenance(vars(recipe), plain(PRESETS[recipe.preset]), versions(found_landmarks), pictures).as_json()
    write_bytes(folder / PROVENANCE, provenance.encode())
    return provenance


def _check_workers(workers: int) -> None:
    if workers < 1:
        raise ConfigError(f"workers {workers}: must be at least 1")


def _check_rows(source: Manifest, rows: Sequence[Row]) -> None:
    if not any(row.is_target for row in rows):
        raise DataError(f"{source.origin}: has no face to degrade")
    files: dict[str, str] = {}
    for row in rows:
        if not row.picture:
            raise DataError(f"{source.origin}: {row.name} has no sharp picture; a test set is made of sharp ones")
        other = files.setdefault(png_name(row.name), row.name)
        if other != row.name:
            raise DataError(f"{source.origin}: {row.name} and {other} would both be {png_name(row.name)}; rename one")


def _is_free(output: Path) -> bool:
    if output.is_dir() and not output.is_symlink():
        return next(output.iterdir(), None) is None
    return not output.exists()


def _check_free_or_alike(output: Path, recipe: Recipe) -> None:
    if _is_free(output):
        return
    if not (output / PROVENANCE).is_file():
        raise DataError(f"{output}: is there already and is no test set; choose another folder, or remove it")
    _check_recipe(output, recipe)


def _check_recipe(output: Path, recipe: Recipe) -> None:
    """Raise DataError when provenance names another recipe; a set without a readable one is left to the comparison."""
    known = read_recipe(output)
    for option, asked in vars(recipe).items():
        made = known.get(option, asked)
        if made != asked:
            name = option.replace("_", "-")
            raise DataError(f"{output}: was made with --{name} {made}, not {asked}; say --{name} {made}, or choose "
                            "another folder")  # fmt: skip


def _check_same(output: Path, provenance: str) -> None:
    if (output / PROVENANCE).read_bytes() != provenance.encode():
        raise DataError(
            f"{output}: is there already and was made of other pictures or by other versions; choose another folder, "
            "or remove it"
        )


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _difference(output: Path, again: Path, different: Sequence[str], count: int) -> str:
    pixels = [name for name in different if _differ_in_pixels(output / name, again / name)]
    if pixels:
        return f"{output}: {len(pixels)} of {count} files differ from those made anew, the first is {pixels[0]}"
    return (
        f"{output}: {len(different)} of {count} files have other bytes than those made anew, the first is "
        f"{different[0]}, but every pixel is the same: another version wrote them ({PROVENANCE} says which), or "
        "they were changed since"
    )


def _differ_in_pixels(one: Path, other: Path) -> bool:
    if one.suffix.lower() != ".png":
        return False
    first, second = cv2.imread(str(one)), cv2.imread(str(other))
    return first is None or second is None or not np.array_equal(first, second)
