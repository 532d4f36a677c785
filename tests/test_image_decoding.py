"""Damaged and hostile picture files: an error that names them, little memory, and never a grey half of a picture."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dmdnet.errors import DataError
from dmdnet.image_decoding import IMAGE_SUFFIXES, check_image, decode_image

Y, X = np.mgrid[0:48, 0:64]
SMOOTH = np.stack([X * 3, Y * 4, 200 - X - Y], axis=-1).astype(np.uint8)
PICTURE = Image.fromarray(SMOOTH)


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def orientation(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


FILES = {
    "png": encode(PICTURE, "PNG"),
    "png palette": encode(PICTURE.convert("P"), "PNG"),
    "png alpha": encode(PICTURE.convert("RGBA"), "PNG"),
    "png exif": encode(PICTURE, "PNG", exif=orientation(6)),
    "jpeg": encode(PICTURE, "JPEG"),
    "jpeg progressive": encode(PICTURE, "JPEG", progressive=True),
    "jpeg exif": encode(PICTURE, "JPEG", exif=orientation(6)),
    "jpeg cmyk": encode(PICTURE.convert("CMYK"), "JPEG"),
    "webp": encode(PICTURE, "WEBP"),
    "webp lossless": encode(PICTURE, "WEBP", lossless=True),
    "webp alpha": encode(PICTURE.convert("RGBA"), "WEBP"),
    "bmp": encode(PICTURE, "BMP"),
    "gif": encode(PICTURE, "GIF"),
    "tiff": encode(PICTURE, "TIFF"),
    "tiff lzw": encode(PICTURE, "TIFF", compression="tiff_lzw"),
    "tiff deflate": encode(PICTURE, "TIFF", compression="tiff_adobe_deflate"),
    "ppm": encode(PICTURE, "PPM"),
}


@pytest.mark.parametrize("kind", FILES)
def test_any_cut_is_an_error(kind: str) -> None:
    data = FILES[kind]
    assert decode_image(data).shape in ((48, 64, 3), (64, 48, 3))
    last = len(data) - (12 if kind in ("tiff", "gif", "tiff lzw", "tiff deflate") else 1)
    for length in [*range(0, last, max(1, last // 40)), last]:
        with pytest.raises(DataError, match=r"photo\.png: "):
            decode_image(data[:length], "photo.png")


@pytest.mark.parametrize("kind", FILES)
def test_whatever_is_changed_only_data_errors_come_out(kind: str) -> None:
    """Damage to the first bytes, where headers and tables are; a picture that is accepted is a whole array."""
    rng = np.random.Generator(np.random.Philox(7))
    for _ in range(120):
        data = bytearray(FILES[kind])
        for place in rng.integers(4, min(len(data), 200), size=rng.integers(1, 6)):
            data[place] = rng.choice([0, 1, 127, 255, rng.integers(256)])
        try:
            rgb = decode_image(bytes(data), "photo", max_pixels=10**6)
        except DataError:
            continue
        assert (rgb.dtype, rgb.ndim, rgb.shape[2]) == (np.uint8, 3, 3)


@pytest.mark.parametrize("kind", ["png", "png palette", "png alpha"])
def test_every_changed_byte_of_a_png_is_found_or_harmless(kind: str) -> None:
    whole = decode_image(FILES[kind])
    for place in range(8, len(FILES[kind]), 7):
        data = bytearray(FILES[kind])
        data[place] ^= 0x10
        with pytest.raises(DataError):
            np.testing.assert_array_equal(decode_image(bytes(data)), whole)


@pytest.mark.parametrize("orientation_value", [0, 9, 300])
def test_an_orientation_that_does_not_exist_is_none(orientation_value: int) -> None:
    turned = encode(PICTURE, "JPEG", exif=orientation(orientation_value))
    np.testing.assert_array_equal(decode_image(turned), decode_image(FILES["jpeg"]))


def test_exif_that_cannot_be_read_leaves_the_picture_as_it_is() -> None:
    broken = encode(PICTURE, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08" + b"\xff" * 40)
    np.testing.assert_array_equal(decode_image(broken), decode_image(FILES["jpeg"]))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("number", range(1, 9))
def test_all_orientations_in_all_kinds(kind: str, number: int) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions, by which cameras' are made here
    stored = PICTURE if number == 1 else PICTURE.transpose(Image.Transpose(undo[number]))
    if number in (6, 8):
        stored = PICTURE.transpose(Image.Transpose.ROTATE_90 if number == 6 else Image.Transpose.ROTATE_270)
    options = {"quality": 98} if kind in ("JPEG", "WEBP") else {}
    found = decode_image(encode(stored, kind, exif=orientation(number), **options))
    assert found.shape == SMOOTH.shape
    assert np.abs(found.astype(int) - SMOOTH).mean() < 4


@pytest.mark.parametrize(
    ("mode", "size"), [("RGB", (1, 1)), ("L", (1, 1)), ("P", (1, 1)), ("RGB", (30_000, 1)), ("RGBA", (1, 30_000))]
)
def test_extreme_shapes(mode: str, size: tuple[int, int]) -> None:
    for kind in ("PNG", "TIFF") if mode == "RGBA" else ("PNG", "JPEG", "TIFF"):
        picture = Image.new(mode, size, 0)
        rgb = decode_image(encode(picture.convert("RGB") if (mode, kind) == ("P", "JPEG") else picture, kind))
        assert rgb.shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    ("kind", "channels"), [("png", 3), ("png alpha", 4), ("jpeg", 3), ("webp", 3), ("png palette", 3)]
)
def test_check_image_says_the_shape_without_decoding(kind: str, channels: int) -> None:
    assert check_image(FILES[kind]) == (48, 64, channels)
    assert check_image(encode(PICTURE.convert("L"), "PNG")) == (48, 64, 1)
    with pytest.raises(DataError):
        check_image(FILES[kind][:-20])


def test_suffixes_are_those_that_are_listed() -> None:
    assert {".png", ".jpg", ".jpeg", ".webp"} <= set(IMAGE_SUFFIXES)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_bomb(side: int) -> bytes:
    """A PNG of `side` x `side` RGB pixels that are there, in a few hundred KB."""
    rows = zlib.compressobj(9)
    body = b"".join(rows.compress(bytes(1 + 3 * side)) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg_that_lies(side: int, **options: object) -> bytes:
    """A small JPEG whose frame header says `side` x `side`."""
    data = bytearray(encode(PICTURE, "JPEG", **options))
    place = data.index(b"\xff\xc2" if options else b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", side, side)
    return bytes(data)


def webp_that_lies() -> bytes:
    data = bytearray(FILES["webp"])
    data[26:30] = struct.pack("<HH", 16383, 16383)
    return bytes(data)


def gif_that_lies(side: int) -> bytes:
    data = bytearray(FILES["gif"])
    data[6:10] = struct.pack("<HH", side, side)
    return bytes(data)


def tiff_that_lies(side: int) -> bytes:
    data = bytearray(encode(Image.new("L", (258, 259)), "TIFF", compression="tiff_adobe_deflate"))
    return bytes(data.replace(struct.pack("<H", 258) + b"\0\0", struct.pack("<I", side), 1)).replace(
        struct.pack("<I", 259), struct.pack("<I", side)
    )


def bmp_that_lies(side: int) -> bytes:
    data = bytearray(FILES["bmp"])
    data[18:26] = struct.pack("<ii", side, side)
    return bytes(data)


NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from Linux's /proc")
MEASURE = """
import re, sys
from dmdnet.errors import DataError
from dmdnet.image_decoding import decode_image
for path in sys.argv[2:]:
    try:
        print(decode_image(open(path, "rb").read(), path, max_pixels=int(sys.argv[1])).shape)
    except DataError as error:
        print(error)
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) // 1024)
"""


def measured(folder: Path, files: dict[str, bytes], max_pixels: int) -> tuple[list[str], int]:
    """Decode files in a process of its own; return what it said of each, and its peak memory in MB.

    (`ru_maxrss` would begin at what the test's own process has.)
    """
    paths = []
    for name, data in files.items():
        paths.append(folder / name)
        paths[-1].write_bytes(data)
    command = [sys.executable, "-c", MEASURE, str(max_pixels), *map(str, paths)]
    *said, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return said, int(peak)


@NEEDS_PROC
def test_bombs_stay_below_300_mb(tmp_path: Path) -> None:
    bombs = {
        "bomb.png": png_bomb(14_000),
        "huge.png": png_bomb(1).replace(struct.pack(">II", 1, 1), struct.pack(">II", 2**31 - 1, 2**31 - 1)),
        "lies.jpg": jpeg_that_lies(65_000),
        "progressive.jpg": jpeg_that_lies(65_000, progressive=True),
        "lies.webp": webp_that_lies(),
        "lies.gif": gif_that_lies(60_000),
        "lies.tif": tiff_that_lies(100_000),
        "lies.bmp": bmp_that_lies(50_000),
    }
    assert len(bombs["bomb.png"]) < 700_000
    said, peak = measured(tmp_path, bombs, 64_000_000)
    assert len(said) == len(bombs)
    assert all(line.startswith(f"{tmp_path / name}: ") for name, line in zip(bombs, said, strict=True)), said
    assert "more pixels than the 64 megapixels" in said[0]
    assert peak < 300


@NEEDS_PROC
def test_the_largest_face_of_any_kind_stays_below_300_mb(tmp_path: Path) -> None:
    """What is just small enough to be read as a face, and headers that lie about it."""
    side = 3072
    frame = Image.new("RGB", (side, side), (9, 8, 7))
    files = {
        "plain.png": png_bomb(side),
        "progressive.jpg": encode(frame, "JPEG", progressive=True, subsampling=0),
        "lies.jpg": jpeg_that_lies(side, progressive=True),
        "lies.gif": gif_that_lies(side),
        "alpha.png": encode(Image.new("RGBA", (side, side)), "PNG", compress_level=1),
        "animated.webp": encode(
            frame, "WEBP", method=0, quality=1, save_all=True, append_images=[Image.new("RGB", (side, side))]
        ),
        "deflate.tif": encode(Image.new("L", (side, side)), "TIFF", compression="tiff_adobe_deflate"),
    }
    said, peak = measured(tmp_path, files, side * side)
    assert said.count(f"({side}, {side}, 3)") >= 5, said
    assert peak < 300
