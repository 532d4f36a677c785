"""Is a PNG or JPEG file whole? Decoders fill what is missing with grey and say nothing; this says it.

A PNG is walked chunk by chunk with its checksums (PNG specification, section 5). A JPEG is walked marker by
marker to its end-of-image marker (ITU-T T.81, annex B): a file cut short, or preallocated and filled with zeros,
never reaches it.
"""

from __future__ import annotations

import re
import struct
import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# inside entropy-coded data FF is followed by 00 (stuffing), D0..D7 (restart) or FF (fill); all else ends the scan
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def png_chunks(data: bytes) -> tuple[set[bytes], str | None]:
    """Return the chunk names of a PNG, and what is wrong with it (None when it is whole)."""
    names: set[bytes] = set()
    view = memoryview(data)  # slices of it copy nothing
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        name = data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data):
            break
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(view[position + 4 : end - 4]) != checksum:
            return names, f"damaged: the checksum of its {name!r} chunk at byte {position} is wrong"
        names.add(name)
        if name == b"IEND":
            return names, None
        position = end
    return names, f"cut short: it ends at byte {len(data)}, before its IEND chunk"


def jpeg_markers(data: bytes) -> tuple[set[int], str | None]:
    """Return the markers of a JPEG (0xC2 for FF C2), and what is wrong with it (None when its end is reached)."""
    markers: set[int] = set()
    cut = f"cut short: it ends at byte {len(data)}, before its end-of-image marker"
    position = 2
    while position + 4 <= len(data) or data[position : position + 2] == b"\xff\xd9":
        if data[position] != 0xFF:
            return markers, f"damaged: a marker was expected at byte {position}"
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == _END_OF_IMAGE:
            return markers, None
        markers.add(marker)
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
        if marker == _START_OF_SCAN:
            found = _SCAN_END.search(data, position)
            if found is None:
                return markers, cut
            position = found.start()
    return markers, cut
