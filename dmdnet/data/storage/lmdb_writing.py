"""Writing an LMDB of pictures: beside its place, whole, then renamed; what is killed leaves no half of one."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import lmdb

from dmdnet.data.storage.base import Storage
from dmdnet.data.storage.keys import check_key
from dmdnet.data.storage.lmdb import LMDB_SUFFIX, LMDBStorage
from dmdnet.data.storage.lmdb_lists import CHECKSUMS, META_INFO, MetaLine, checksum_line, lmdb_key
from dmdnet.data.storage.parallel import Progress, in_order
from dmdnet.errors import DataError
from dmdnet.files import check_writable, write_bytes
from dmdnet.folders import folder_beside
from dmdnet.image_decoding import check_image, decode_image

_USUAL_LEVEL = 1  # what BasicSR writes when it is not told; nothing reads it
_FIRST_MAP = 1 << 26  # bytes; doubled whenever it is full
_BATCH = 1 << 26  # bytes of one transaction
_MAX_KEY = 511  # bytes, of LMDB
_SHOWN = 5


@dataclass(frozen=True)
class _Entry:
    meta: MetaLine
    data: bytes
    checksum: int


def write_lmdb(
    source: Storage,
    path: str | os.PathLike[str],
    *,
    compress_level: int | None = None,
    workers: int = 4,
    progress: Progress | None = None,
) -> LMDBStorage:
    """Write all pictures of `source` into a new LMDB in BasicSR's form, with a checksum of each beside it.

    Args:
        source: where the pictures are. Their names are kept, suffixes included, so that a data set is the same from
            either.
        path: the folder to make; its name ends in `.lmdb`.
        compress_level: None keeps the files' bytes; 0 (large) to 9 (slow) decodes each picture and stores it as an
            8-bit RGB PNG of that level.
        workers: threads that read and encode pictures.
        progress: called after each picture.

    Raises:
        DataError: the target exists or cannot be written, two names differ in their suffix only, the source is
            empty, or pictures are damaged (all are looked through and the message names some). No half of an LMDB
            is left.
    """
    path = Path(path)
    _check_target(path)
    names = source.list_keys()
    _check_names(names, source)
    try:
        with folder_beside(path) as beside:
            written = _write_data(beside, source, names, compress_level, workers, progress)
            sums = {name: checksum_line(name, crc) for name, (_, crc) in written.items()}
            _write_list(beside / META_INFO, names, {name: str(meta) for name, (meta, _) in written.items()})
            _write_list(beside / CHECKSUMS, names, sums)
            _sync_folder(beside)
            os.rename(beside, path)
            _sync_folder(path.parent)
    except (OSError, lmdb.Error) as error:
        raise DataError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from error
    return LMDBStorage(path)


def _check_target(path: Path) -> None:
    if path.suffix != LMDB_SUFFIX:
        raise DataError(f"{path}: the name of an LMDB ends in {LMDB_SUFFIX}")
    if path.exists():
        raise DataError(f"{path}: exists; choose another name, or remove it first")
    check_writable(path)


def _check_names(names: Sequence[str], source: Storage) -> None:
    if not names:
        raise DataError(f"{source.where('')}: holds no picture")
    full: dict[str, str] = {}
    for name in names:
        check_key(name, source.where(""))
        key = lmdb_key(name)
        if "\n" in name or "\r" in name or len(key.encode()) > _MAX_KEY:
            raise DataError(f"{source.where(name)!r}: names in an LMDB have at most {_MAX_KEY} bytes and one line")
        if (other := full.setdefault(key, name)) != name:
            raise DataError(f"{source.where(name)} and {other}: differ in their suffix only; rename one of them")
    for name in names:
        if name in full:  # `1.jpg` would find either 1.jpg or 1.jpg.png
            raise DataError(f"{source.where(full[name])} and {name}: cannot be told apart; rename one of them")


def _write_data(
    folder: Path,
    source: Storage,
    names: Sequence[str],
    compress_level: int | None,
    workers: int,
    progress: Progress | None,
) -> Mapping[str, tuple[MetaLine, int]]:
    """Write data.mdb; return meta line and checksum by name."""

    def entry_or_error(name: str) -> _Entry | DataError:
        try:
            return _entry(source, name, compress_level)
        except DataError as error:
            return error

    environment = lmdb.open(str(folder), map_size=_FIRST_MAP, sync=False, meminit=False)
    written: dict[str, tuple[MetaLine, int]] = {}
    bad: list[DataError] = []
    batch: list[_Entry] = []
    size = 0
    try:
        by_key = sorted(names, key=lambda name: lmdb_key(name).encode())  # pages are then filled one after the other
        for done, entry in enumerate(in_order(entry_or_error, by_key, workers), start=1):
            if isinstance(entry, DataError):
                bad.append(entry)
            elif not bad:
                written[entry.meta.name] = entry.meta, entry.checksum
                batch.append(entry)
                size += len(entry.data)
                if size > _BATCH:
                    _commit(environment, batch)
                    batch, size = [], 0
            if progress is not None:
                progress(done, len(names))
        if bad:
            raise _damaged(bad, len(names))
        _commit(environment, batch)
        environment.sync(True)
    finally:
        environment.close()
    return written


def _entry(source: Storage, name: str, compress_level: int | None) -> _Entry:
    data = source.read(name)
    place = source.where(name)
    if compress_level is None:
        shape = check_image(data, place)
    else:
        rgb = decode_image(data, place)
        encoded, png = cv2.imencode(".png", rgb[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, compress_level])
        if not encoded:
            raise DataError(f"{place}: {rgb.shape[1]} x {rgb.shape[0]} pixels cannot be written as PNG")
        data, shape = png.tobytes(), (rgb.shape[0], rgb.shape[1], 3)
    level = _USUAL_LEVEL if compress_level is None else compress_level
    return _Entry(MetaLine(name, shape, level), data, zlib.crc32(data))


def _commit(environment: lmdb.Environment, batch: Iterable[_Entry]) -> None:
    """Write a batch in one transaction; make the map larger as often as it takes."""
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for entry in batch:
                    transaction.put(lmdb_key(entry.meta.name).encode(), entry.data, append=True)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])


def _damaged(bad: Sequence[DataError], total: int) -> DataError:
    if len(bad) == 1:
        return bad[0]
    shown = "; ".join(str(error) for error in bad[:_SHOWN])
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    return DataError(f"{len(bad)} of {total} pictures cannot be used: {shown}{more}")


def _write_list(path: Path, names: Iterable[str], lines: Mapping[str, str]) -> None:
    write_bytes(path, "".join(f"{lines[name]}\n" for name in names).encode())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
