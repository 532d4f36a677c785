"""Is every picture of a storage what it was, and can it be decoded?"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from dmdnet.data.storage.base import Storage
from dmdnet.data.storage.parallel import Progress, in_order
from dmdnet.errors import DataError
from dmdnet.image_decoding import decode_image


def verify(
    storage: Storage,
    checksums: Mapping[str, int] | None = None,
    *,
    workers: int = 4,
    progress: Progress | None = None,
) -> Iterator[str]:
    """Read and decode every picture; yield what is wrong with those that cannot be used, place first.

    Args:
        storage: its pictures are held against its own checksums, where it has them.
        checksums: CRC-32 by key in place of the storage's own, such as a manifest's; keys that are not listed in the
            storage are missing pictures.
        workers: threads.
        progress: called after each picture.
    """

    def defect(key: str) -> str | None:
        try:
            data = storage.read(key)
            expected = storage.checksum(key) if checksums is None else checksums.get(key)
            if expected is not None and (found := zlib.crc32(data)) != expected:
                return f"{storage.where(key)}: was changed: its CRC-32 is {found:08x}, {expected:08x} was recorded"
            decode_image(data, storage.where(key))
        except DataError as error:
            return str(error)
        return None

    keys = list(dict.fromkeys([*storage.list_keys(), *(checksums or ())]))
    for done, found in enumerate(in_order(defect, keys, workers), start=1):
        if found is not None:
            yield found
        if progress is not None:
            progress(done, len(keys))
