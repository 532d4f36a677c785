"""Pictures come in as a person sees them, or with the reason why not; they go out whole or not at all."""

from __future__ import annotations

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from dmdnet.errors import DataError
from dmdnet.images import (
    check_image_target,
    from_hwc,
    list_images,
    read_image,
    to_float,
    to_hwc,
    to_uint8,
    write_image,
)


@pytest.fixture
def rgb():
    return np.random.Generator(np.random.Philox(1)).integers(0, 256, (24, 36, 3), np.uint8)


@pytest.fixture
def smooth():
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([x * 3, y * 4, 200 - x - y], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp", ".tif", ".webp"])
def test_lossless_round_trip(tmp_path, rgb, suffix):
    path = write_image(tmp_path / f"picture{suffix}", rgb)
    read = read_image(path)
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, rgb)


def test_jpeg_keeps_channels_in_order(tmp_path, smooth):
    read = read_image(write_image(tmp_path / "picture.jpg", smooth))
    assert np.abs(read.astype(int) - smooth).mean() < 2


def test_opencv_and_pillow_read_the_same_jpeg_alike(tmp_path, smooth):
    path = write_image(tmp_path / "picture.jpg", smooth)
    pillow = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert np.abs(read_image(path) - pillow).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(tmp_path, smooth, orientation, kind):
    turns = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud}
    turns |= {5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, 1)}
    turns |= {7: lambda a: np.rot90(a.swapaxes(0, 1), 2), 8: lambda a: np.rot90(a, -1)}
    picture = Image.fromarray(np.ascontiguousarray(turns[orientation](smooth)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned"
    picture.save(path, kind, exif=exif, **({"quality": 98, "subsampling": 0} if kind == "JPEG" else {}))
    assert np.abs(read_image(path).astype(int) - smooth).mean() < 2


@pytest.mark.parametrize("colour", [True, False])
def test_16_bits_are_rounded(tmp_path, rgb, colour):
    eight = rgb if colour else rgb[..., 0]
    sixteen = eight.astype(np.uint16) * 257
    sixteen[0, 0] = np.minimum(sixteen[0, 0], 65000) + 128  # still nearest to the same value
    sixteen[0, 1] = np.minimum(sixteen[0, 1], 65000) + 129  # nearest to the next one
    cv2.imwrite(str(tmp_path / "deep.png"), sixteen[..., ::-1] if colour else sixteen)
    wanted = np.rint(sixteen / 257).astype(np.uint8)
    np.testing.assert_array_equal(
        read_image(tmp_path / "deep.png"), wanted if colour else wanted[..., None].repeat(3, 2)
    )


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA", "CMYK", "YCbCr"])
def test_other_modes_become_rgb(tmp_path, smooth, mode):
    picture = Image.fromarray(smooth).convert(mode)
    path = tmp_path / "picture"
    picture.save(
        path, {"CMYK": "JPEG", "YCbCr": "JPEG"}.get(mode, "PNG"), **({"quality": 98} if mode == "CMYK" else {})
    )
    read = read_image(path)
    wanted = np.asarray(picture.convert("RGB")).astype(int)
    assert read.shape == smooth.shape
    assert np.abs(read - wanted).mean() < 3


def test_transparent_parts_are_laid_on_white(tmp_path):
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[0, :, 3] = 255
    rgba[1, :, 3] = 128
    Image.fromarray(rgba).save(tmp_path / "picture.png")
    assert read_image(tmp_path / "picture.png")[:, 0, 0].tolist() == [0, 127, 255, 255]


def test_a_transparent_colour_of_an_rgb_png_is_laid_on_white(tmp_path):
    array = np.zeros((2, 2, 3), np.uint8)
    array[0] = (10, 20, 30)
    Image.fromarray(array).save(tmp_path / "picture.png", transparency=(10, 20, 30))
    assert read_image(tmp_path / "picture.png")[:, 0].tolist() == [[255, 255, 255], [0, 0, 0]]


def bad_files(smooth):
    jpeg, png = io.BytesIO(), io.BytesIO()
    Image.fromarray(smooth).save(jpeg, "JPEG")
    Image.fromarray(smooth).save(png, "PNG")
    return {
        "empty": (b"", "the file is empty"),
        "html": (b"\n<!DOCTYPE html><html>404</html>", "web page"),
        "text": (b"hello, this is no picture", "not a picture of a known kind"),
        "heic": (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        "jpeg cut short": (jpeg.getvalue()[:-50], "cut short"),
        "jpeg half zeros": (jpeg.getvalue()[:-50] + bytes(2000), "cut short"),
        "png cut short": (png.getvalue()[: len(png.getvalue()) // 2], "cut short"),
        "png signature only": (png.getvalue()[:8], "header|not a picture|cut short"),
    }


CASES = [
    "empty", "html", "text", "heic", "jpeg cut short", "jpeg half zeros", "png cut short", "png signature only"
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_unusable_files_are_named_with_the_reason(tmp_path, smooth, case):
    data, reason = bad_files(smooth)[case]
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    with pytest.raises(DataError, match=reason) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(DataError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_a_bomb_is_refused_by_its_header(tmp_path, side):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(DataError, match=r"bomb\.png.*megapixels"):
        read_image(path)


def test_write_refuses_what_cannot_be_written(tmp_path, rgb):
    with pytest.raises(DataError, match="unknown kind of picture"):
        write_image(tmp_path / "picture.xyz", rgb)
    with pytest.raises(DataError, match="does not exist"):
        write_image(tmp_path / "missing" / "picture.png", rgb)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        write_image(tmp_path / "folder.png", rgb)
    with pytest.raises(DataError, match="uint8"):
        write_image(tmp_path / "picture.png", rgb.astype(np.float32))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_writable_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DataError, match="not writable"):
            check_image_target(tmp_path / "picture.png")
    finally:
        tmp_path.chmod(0o700)


def test_a_failed_write_leaves_the_old_picture_and_no_litter(tmp_path, rgb, monkeypatch):
    path = write_image(tmp_path / "picture.png", rgb)

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(DataError, match="No space left"):
        write_image(path, 255 - rgb)
    np.testing.assert_array_equal(read_image(path), rgb)
    assert [item.name for item in tmp_path.iterdir()] == ["picture.png"]


def test_list_images(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt", "sub/c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in list_images(tmp_path)] == ["a.png", "b.JPG"]
    assert [path.name for path in list_images(tmp_path, recursive=True)] == ["a.png", "b.JPG", "c.webp"]
    with pytest.raises(DataError, match="no such folder"):
        list_images(tmp_path / "missing")
    with pytest.raises(DataError, match="is a file"):
        list_images(tmp_path / "a.png")


def test_uint8_and_float_round_trip_every_value():
    values = torch.arange(256, dtype=torch.uint8)
    floats = to_float(values)
    assert (floats.min(), floats.max()) == (-1.0, 1.0)
    assert torch.equal(to_uint8(floats), values)
    assert to_uint8(torch.tensor([-7.0, 7.0])).tolist() == [0, 255]
    assert torch.equal(values, torch.arange(256, dtype=torch.uint8)), "the input is not changed"


@pytest.mark.parametrize("shape", [(5, 7, 3), (2, 5, 7, 3), (2, 4, 5, 7, 3)])
def test_channel_order_round_trip(shape):
    array = np.random.Generator(np.random.Philox(2)).integers(0, 256, shape, np.uint8)
    tensor = from_hwc(array)
    assert tensor.shape == (*shape[:-3], 3, *shape[-3:-1])
    assert tensor.is_contiguous()
    np.testing.assert_array_equal(to_hwc(tensor), array)
