"""Landmarks that no file gives: found once, kept in a file, and faces that are not found remembered as such."""

from __future__ import annotations

import logging
import zlib
from pathlib import Path

import numpy as np

from dmdnet.data.manifest import Row
from dmdnet.data.storage.keys import check_key
from dmdnet.errors import ConfigError, DataError, FaceError
from dmdnet.faces.backend import find_face, get_backend
from dmdnet.faces.landmarks import read_landmarks, write_landmarks
from dmdnet.files import check_writable, write_bytes

logger = logging.getLogger(__name__)

SUFFIX, MISS_SUFFIX = ".txt", ".no_face"


class MadeLandmarks:
    """A folder of landmark files that fills itself; many processes may share it.

    Args:
        backend: what finds faces.
        cache: the folder; None: where rows expect their landmark files.
    """

    def __init__(self, backend: str, cache: str | None) -> None:
        self.backend = backend
        self.cache = Path(cache) if cache else None
        self.warned = False

    def place(self, row: Row, *, degraded: bool = False) -> str:
        """Return where made landmarks of a row's picture are kept, empty when there is no such place.

        Raises:
            DataError: the row's name leads out of the cache.
        """
        if self.cache is not None:
            place = str(self.cache / f"{check_key(row.name, self.cache)}{SUFFIX}")
        else:
            place = row.landmark_file
        return f"{place.removesuffix(SUFFIX)}.degraded{SUFFIX}" if degraded and place else place

    def read(self, place: str) -> np.ndarray | None:
        """Return the landmarks in a file, None where there is none.

        Raises:
            DataError: the file has something else in it.
        """
        return read_landmarks(place) if place and Path(place).is_file() else None

    def get(self, image: np.ndarray, data: bytes, place: str) -> np.ndarray:
        """Return the landmarks that are kept at `place`; when there are none, find them and keep them there.

        Args:
            image: uint8 RGB (S, S, 3).
            data: its file: a face that was not found is looked for again when the file changes.
            place: from `place`.

        Raises:
            FaceError: no face is found, now or when it was looked for before.
            DataError: what is kept at the place cannot be read.
            ConfigError: the place cannot be written.
        """
        kept = self.read(place)
        if kept is not None:
            return kept
        marker, mark = Path(miss_marker(place)), f"{self.backend} {zlib.crc32(data):08x}\n"
        if place and _text(marker) == mark:
            raise FaceError(f"no face was found before ({marker} says so; delete it to look again)")
        backend = get_backend(self.backend)
        try:
            landmarks = find_face(backend, image).landmarks
        except FaceError:
            if place:
                _prepare(marker)
                write_bytes(marker, mark.encode())
            raise
        if not place:
            self._warn()
            return landmarks
        _prepare(Path(place))
        write_landmarks(place, landmarks)
        return read_landmarks(place)  # as the next reader gets them: rounded to the precision of the file

    def _warn(self) -> None:
        if not self.warned:
            self.warned = True
            logger.warning("landmarks are looked for each time a picture is read; give a landmark_cache to keep them")


def miss_marker(place: str) -> str:
    """Return the file that says that no face was found, in the place of landmarks; empty for no place."""
    return f"{place.removesuffix(SUFFIX)}{MISS_SUFFIX}" if place else ""


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def _prepare(path: Path) -> None:
    """Make the folder of a file, or say where else made landmarks can go."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_writable(path)
    except (OSError, DataError) as error:
        raise ConfigError(
            f"{path.parent}: made landmarks cannot be kept there ({getattr(error, 'strerror', None) or error}); give "
            "the data set a landmark_cache that is writable"
        ) from error
