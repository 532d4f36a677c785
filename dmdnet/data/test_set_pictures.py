"""The pictures of a fixed test set, made one by one, over several processes if there are many."""

from __future__ import annotations

import multiprocessing
import os
import threading
import zlib
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dmdnet.data.face_reader import Face, FaceReader, MissingLandmarks
from dmdnet.data.manifest import Row
from dmdnet.data.provenance import parameters
from dmdnet.data.randomness import Stream, generator
from dmdnet.data.storage import Storage
from dmdnet.data.storage.keys import check_key
from dmdnet.degradations import apply_degradation, build_degradation, draw_degradation
from dmdnet.degradations.presets import PRESETS
from dmdnet.errors import ConfigError, DataError, FaceError
from dmdnet.registry import DEGRADATIONS, Component
from dmdnet.typed import nearest

GT, LQ = "gt", "lq"
MAX_SIZE = 4096
# named, so that another default of OpenCV's makes no other bytes
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]


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
        if not 0 <= self.seed < 1 << 63:
            raise ConfigError(f"seed {self.seed}: is not a whole number from 0 to 2^63 - 1")


def make_pictures(
    storage: Storage, rows: Sequence[Row], folder: Path, recipe: Recipe, landmarks: str, workers: int
) -> Generator[tuple[Row, dict[str, Any]], None, None]:
    """Write the pictures of `rows`; yield for each, in order, its row in the set and what provenance says of it.

    Args:
        storage: of the rows' pictures.
        rows: the faces.
        folder: of the set.
        recipe: how it is made.
        landmarks: an empty folder, to remember what has been found.
        workers: processes; 1 works in this one.

    Raises:
        DataError: a picture cannot be used, or a process died.
    """
    start = (storage, folder, recipe, landmarks)
    if workers <= 1:
        yield from map(_Maker(*start), rows)
        return
    context = multiprocessing.get_context("spawn")  # a forked copy of a process with running threads can hang
    try:
        with ProcessPoolExecutor(min(workers, len(rows)), context, _start_worker, start) as pool:
            yield from pool.map(_make_in_worker, rows)
    except BrokenProcessPool as error:
        raise DataError(f"workers {workers}: a working process ended early (memory?); use fewer workers") from error


_maker: _Maker | None = None  # of a worker process


def _start_worker(*start: Any) -> None:
    global _maker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _maker = _Maker(*start)


def _end_with_parent() -> None:
    """End this process when its parent was killed: the others hold its queue open, and it would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker
    wait([parent.sentinel])
    os._exit(1)


def _make_in_worker(row: Row) -> tuple[Row, dict[str, Any]]:
    assert _maker is not None  # the pool has started it
    return _maker(row)


class _Maker:
    """Makes the files of one row; returns its new row and what provenance says of it."""

    def __init__(self, storage: Storage, folder: Path, recipe: Recipe, landmarks: str) -> None:
        self.storage, self.folder, self.recipe = storage, folder, recipe
        self.ops = build_degradation(_components(recipe))
        self.reader = FaceReader(
            storage=storage,
            image_size=recipe.size,
            landmark_cache=landmarks,
            missing_landmarks=recipe.missing_landmarks,
        )

    def __call__(self, row: Row) -> tuple[Row, dict[str, Any]]:
        face = self._read(row)
        file = png_name(row.name)
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

    def _read(self, row: Row) -> Face:
        try:
            return self.reader.read(row)
        except DataError as error:
            if not isinstance(error.__cause__, FaceError):
                raise
            # the reader's advice names the folder for what has been found, which ends with this run
            raise DataError(
                f"{self.storage.where(row.picture)}: {error.__cause__}. Take the picture out of the source, put its 68 "
                f"lines 'x y' into {row.landmark_file or 'a landmark file'}, or say --missing-landmarks template"
            ) from error

    def _write(self, part: str, file: str, rgb: np.ndarray) -> bytes:
        path = self.folder / part / check_key(file, self.folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), _PNG)[1].tobytes()
        # not flushed one by one: the whole folder appears at the end or not at all
        path.write_bytes(data)
        return data


def _components(recipe: Recipe) -> list[Component]:
    return [DEGRADATIONS.component("Preset", name=recipe.preset)]


def png_name(name: str) -> str:
    """Return the key of the file that a face of this name gets."""
    return name if name.lower().endswith(".png") else f"{name}.png"


def _hex(checksum: int) -> str:
    return f"{checksum:08x}"
