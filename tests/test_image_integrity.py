"""Every cut of a PNG or JPEG is seen; whole files, with all their oddities, are not accused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dmdnet.image_integrity import jpeg_markers, png_chunks

PICTURE = Image.fromarray(np.random.Generator(np.random.Philox(3)).integers(0, 256, (40, 30, 3), np.uint8))


def encoded(**options) -> bytes:
    stream = io.BytesIO()
    PICTURE.save(stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"exif": b"Exif\0\0" + bytes(50)}]
)
def test_a_whole_jpeg_has_no_defect_and_any_cut_has(options):
    data = encoded(format="JPEG", **options)
    assert jpeg_markers(data)[1] is None
    assert jpeg_markers(data + b"trailing bytes of a phone")[1] is None
    for length in range(4, len(data), 37):
        assert "cut short" in jpeg_markers(data[:length])[1], length
        assert jpeg_markers(data[:length] + bytes(len(data) - length))[1], "a preallocated file, half arrived"


def test_a_whole_png_has_no_defect_and_any_cut_has():
    data = encoded(format="PNG")
    assert png_chunks(data) == ({b"IHDR", b"IDAT", b"IEND"}, None)
    for length in range(8, len(data), 37):
        assert "cut short" in png_chunks(data[:length])[1]


def test_a_changed_byte_of_a_png_is_seen():
    data = bytearray(encoded(format="PNG"))
    data[len(data) // 2] ^= 1
    assert "checksum of its b'IDAT' chunk" in png_chunks(bytes(data))[1]
