"""Fixed test sets: faces degraded once, written out, and the same to the last byte whenever they are made again.

The parameters of a picture follow from the seed and the picture's name, exactly as in a data set of test phase, so
that a written set and one that is degraded on the fly have the same pictures. `provenance.json` keeps them all.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dmdnet.data.face_reader import FaceReader, MissingLandmarks
from dmdnet.data.manifest import SUFFIX, Manifest, Row, write_manifest
from dmdnet.data.provenance import FILE as PROVENANCE
from dmdnet.data.provenance import Provenance, parameters, versions
from dmdnet.data.randomness import Stream, generator
from dmdnet.data.storage import DiskStorage, MountedStorage, Storage
from dmdnet.data.storage.keys import check_key
from dmdnet.degradations import apply_degradation, build_degradation, draw_degradation
from dmdnet.degradations.presets import PRESETS
from dmdnet.errors import ConfigError, DataError
from dmdnet.files import write_bytes
from dmdnet.registry import DEGRADATIONS, Component, plain
from dmdnet.typed import nearest

GT, LQ = "gt", "lq"
MAX_SIZE = 4096
MANIFEST = f"faces{SUFFIX}"
# named, so that another default of OpenCV's makes no other bytes
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recipe:
    """How a test set is made: what decides every byte of it but for its source.

    Args:
        preset: name of the degradations (`dmdnet/degradations/presets.py`).
        seed: of their parameters.
        size: side of all pictures in pixels.
        missing_landmarks: `error`, or `template`: a face on which no landmarks are found gets the mean ones.
    """

    preset: str
    seed: int = 0
    size: int = 512
    missing_landmarks: MissingLandmarks = "error"

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"preset: there is none called {self.preset!r}; {nearest(self.preset, PRESETS)}")
        if not 16 <= self.size <= MAX_SIZE or self.size % 8:
            raise ConfigError(f"size {self.size}: is not a multiple of 8 from 16 to {MAX_SIZE}")


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
        output: a folder that is not there yet.
        workers: processes.
        progress: called with (pictures done, pictures in all).

    Raises:
        DataError: `output` holds something else or cannot be written, or a picture of the source cannot be used.
    """
    _check_workers(workers)
    output = Path(output)
    if not output.parent.is_dir():
        raise DataError(f"{output}: its folder {output.parent} does not exist; make it first")
    beside = output.with_name(f".{output.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        beside.mkdir()
        provenance = _make(source, beside, recipe, workers, progress)
        if output.exists():
            _check_same(output, provenance)
        else:
            beside.rename(output)
    except OSError as error:
        raise DataError(f"{output}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
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
    with tempfile.TemporaryDirectory(prefix="dmdnet_verify_") as folder:
        again = Path(folder)
        _make(source, again, recipe, workers, progress)
        names = _files(again)
        if names != _files(output):
            odd = sorted(set(names) ^ set(_files(output)))
            raise DataError(f"{output}: {odd[0]} and {len(odd) - 1} more files are missing or should not be there")
        different = [name for name in names if (again / name).read_bytes() != (output / name).read_bytes()]
        if different:
            raise DataError(_difference(output, again, different, len(names)))
    return len(names)


def _make(source: Manifest, folder: Path, recipe: Recipe, workers: int, progress: Progress | None) -> str:
    """Write the set into an empty folder and return its provenance."""
    rows = list(source)
    _check_rows(source, rows)
    made, pictures = [], {}
    with tempfile.TemporaryDirectory(prefix="dmdnet_landmarks_") as landmarks:
        start = (source.storage, str(folder), recipe, landmarks)
        for number, (row, entry) in enumerate(_results(rows, start, workers), start=1):
            made.append(row)
            pictures[row.name] = entry
            if progress is not None:
                progress(number, len(rows))
    storage = MountedStorage({part: DiskStorage(folder / part) for part in (GT, LQ)})
    manifest = Manifest.from_rows(made, storage=storage, origin=source.origin)
    write_manifest(manifest, folder / MANIFEST, options={"test_set": vars(recipe)})
    provenance = Provenance(vars(recipe), plain(PRESETS[recipe.preset]), versions(), pictures).as_json()
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
        other = files.setdefault(_file(row.name), row.name)
        if other != row.name:
            raise DataError(f"{source.origin}: {row.name} and {other} would both be {_file(row.name)}; rename one")


def _check_same(output: Path, provenance: str) -> None:
    path = output / PROVENANCE
    if not output.is_dir() or not path.is_file() or path.read_bytes() != provenance.encode():
        raise DataError(f"{output}: is there already and was not made like this; choose another folder, or remove it")


def _results(rows: Sequence[Row], start: tuple[Any, ...], workers: int) -> Iterator[tuple[Row, dict[str, Any]]]:
    if workers <= 1:
        yield from map(_Maker(*start), rows)
        return
    context = multiprocessing.get_context("spawn")  # a forked copy of a process with running threads can hang
    try:
        with ProcessPoolExecutor(min(workers, len(rows)), context, _start_worker, start) as pool:
            yield from pool.map(_make_in_worker, rows, chunksize=4)
    except BrokenProcessPool as error:
        raise DataError(f"workers {workers}: a working process ended early (memory?); use fewer workers") from error


_maker: _Maker | None = None  # of a worker process


def _start_worker(*start: Any) -> None:
    global _maker
    cv2.setNumThreads(1)
    _maker = _Maker(*start)


def _make_in_worker(row: Row) -> tuple[Row, dict[str, Any]]:
    assert _maker is not None  # the pool has started it
    return _maker(row)


class _Maker:
    """Makes the files of one row; returns its new row and what provenance says of it."""

    def __init__(self, storage: Storage, folder: str, recipe: Recipe, landmarks: str) -> None:
        self.storage, self.folder, self.recipe = storage, Path(folder), recipe
        self.ops = build_degradation(_components(recipe))
        self.reader = FaceReader(
            storage=storage,
            image_size=recipe.size,
            landmark_cache=landmarks,
            missing_landmarks=recipe.missing_landmarks,
        )

    def __call__(self, row: Row) -> tuple[Row, dict[str, Any]]:
        face = self.reader.read(row)
        file = _file(row.name)
        gt = self._write(GT, file, face.image)
        made = replace(
            row,
            picture=f"{GT}/{file}",
            degraded="",
            degraded_checksum=None,
            landmark_file="",
            landmarks=face.landmarks.astype(np.float32),
            checksum=zlib.crc32(gt),
            num_bytes=len(gt),
            size=(self.recipe.size, self.recipe.size),
        )
        entry: dict[str, Any] = {
            "source_crc32": _hex(zlib.crc32(self.storage.read(row.picture))),
            "gt_crc32": _hex(zlib.crc32(gt)),
        }
        if row.is_target:
            rng = generator(self.recipe.seed, zlib.crc32(row.name.encode()), Stream.DEGRADATION)
            draws = draw_degradation(self.ops, rng, face.image.shape[:2])
            lq = self._write(LQ, file, apply_degradation(face.image, self.ops, draws))
            made = replace(made, degraded=f"{LQ}/{file}", degraded_checksum=zlib.crc32(lq))
            entry |= {"lq_crc32": _hex(zlib.crc32(lq)), "parameters": parameters(draws)}
        return made, entry

    def _write(self, part: str, file: str, rgb: np.ndarray) -> bytes:
        path = self.folder / part / check_key(file, self.folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), _PNG)[1].tobytes()
        # not flushed one by one: the whole folder appears at the end or not at all
        path.write_bytes(data)
        return data


def _components(recipe: Recipe) -> list[Component]:
    return [DEGRADATIONS.component("Preset", name=recipe.preset)]


def _file(name: str) -> str:
    return name if name.lower().endswith(".png") else f"{name}.png"


def _hex(checksum: int) -> str:
    return f"{checksum:08x}"


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _difference(output: Path, again: Path, different: Sequence[str], count: int) -> str:
    pixels = [name for name in different if _differ_in_pixels(output / name, again / name)]
    if pixels:
        return f"{output}: {len(pixels)} of {count} files differ from those made anew, the first is {pixels[0]}"
    return (
        f"{output}: {len(different)} of {count} files have other bytes than those made anew, the first is "
        f"{different[0]}, but every pixel is the same: another version wrote them ({PROVENANCE} says which)"
    )


def _differ_in_pixels(one: Path, other: Path) -> bool:
    if one.suffix.lower() != ".png":
        return False
    first, second = cv2.imread(str(one)), cv2.imread(str(other))
    return first is None or second is None or not np.array_equal(first, second)
