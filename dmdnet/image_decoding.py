"""From the bytes of a picture file to uint8 RGB: whole, upright, in 8 bits, and never with more memory than is due.

The usual files (8 bits, RGB or grey, PNG, JPEG or WebP) are decoded by OpenCV straight into the array that is
returned; the others by Pillow, band by band. Sizes are looked at before anything is decoded.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from dmdnet.errors import DataError
from dmdnet.image_integrity import JPEG_SIGNATURE, PNG_SIGNATURE, jpeg_markers, png_chunks

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MAX_PIXELS = 64_000_000
MAX_DECODING_BYTES = 6 * MAX_PIXELS  # at the peak, beside the file itself; ordinary pictures take 6 a pixel

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
_ORIENTATION_TAG = 0x0112
_PNG_BIT_DEPTH_BYTE = 24
_PROGRESSIVE = 0xC2
_APP1 = 0xE1  # where a JPEG has its EXIF
_WEBP_CHUNK = slice(12, 16)
_BYTES_BY_PILLOW = 10  # a pixel: its own four, those returned, and these turned upright
_BAND = 256  # rows that are converted at a time
_RGB_FLAG = getattr(cv2, "IMREAD_COLOR_RGB", None)  # OpenCV 4.11 and later
_FLAGS = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
# what Pillow's readers raise for damaged files, depending on where the damage is
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
)

Name = str | os.PathLike[str]


@dataclass(frozen=True)
class _File:
    """A picture file before it is decoded.

    Args:
        data: the whole file.
        name: for messages.
        picture: its header, as Pillow has it.
        plain: OpenCV reads it with no choice to make.
        orientation: EXIF's, 1 to 8, of a plain file; Pillow's files have theirs when they are decoded.
        bytes_per_pixel: memory at the peak of decoding, as measured with OpenCV 5.0 and Pillow 13.
    """

    data: bytes
    name: Name
    picture: Image.Image
    plain: bool
    orientation: int
    bytes_per_pixel: int


def decode_image(data: bytes, name: Name = "picture", *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a picture file as a person sees it: uint8 RGB (H, W, 3), contiguous.

    The EXIF orientation is applied; 16 bits per channel are rounded to 8; grey, palette and CMYK become RGB;
    transparent parts are laid on white. Colour profiles are not applied. Of an animation the first picture is read.

    Args:
        data: the whole file.
        name: for messages.
        max_pixels: larger pictures are refused by their header, and so are those that would take more than
            MAX_DECODING_BYTES.

    Raises:
        DataError: the data are empty, cut short, no picture, or too large.
    """
    file = _inspect(data, name)
    _check_size(file, max_pixels)
    return _decode_plain(file) if file.plain else _decode_other(file)


def check_image(data: bytes, name: Name = "picture") -> tuple[int, int, int]:
    """Check that a picture file is whole; return height, width and channels (1 grey, 3 colours, 4 with alpha).

    PNG and JPEG are walked through without being decoded, all others are decoded.

    Raises:
        DataError: as `decode_image`.
    """
    file = _inspect(data, name)
    _check_size(file, MAX_PIXELS)
    width, height = file.picture.size
    if not data.startswith((PNG_SIGNATURE, JPEG_SIGNATURE)):
        decode_image(data, name)
    if file.picture.mode in ("RGBA", "LA", "PA"):
        return height, width, 4
    return height, width, 1 if file.picture.mode in ("1", "L", "I;16") else 3


def _inspect(data: bytes, name: Name) -> _File:
    """Look at everything but the pixels."""
    if not data:
        raise DataError(f"{name}: the file is empty")
    picture = _open(data, name)
    usual = picture.mode in ("RGB", "L")
    defect, plain, orientation = None, False, 1
    plain_bytes, extra_bytes = 6, 0  # OpenCV copies what it has decoded
    if data.startswith(PNG_SIGNATURE):
        chunks, defect = png_chunks(data)
        depth = data[_PNG_BIT_DEPTH_BYTE]
        plain = usual and depth in (8, 16) and not chunks & {b"eXIf", b"tRNS", b"acTL"}
        plain_bytes = 6 if depth == 8 else 12
    elif data.startswith(JPEG_SIGNATURE):
        markers, defect = jpeg_markers(data)
        plain = usual
        orientation = _orientation(picture) if _APP1 in markers else 1
        if _PROGRESSIVE in markers:  # all coefficients are in memory before the first pixel is
            plain_bytes, extra_bytes = 9, 8
    elif picture.format == "WEBP":
        plain = usual and data[_WEBP_CHUNK] in (b"VP8 ", b"VP8L")
        plain_bytes, extra_bytes = 7, 12  # Pillow's reader keeps three pictures
    if defect:
        raise DataError(f"{name}: the picture is {defect}; get the file again")
    return _File(data, name, picture, plain, orientation, plain_bytes if plain else _BYTES_BY_PILLOW + extra_bytes)


def _open(data: bytes, name: Name) -> Image.Image:
    """Read the header only."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # sizes are checked by the caller; other oddities do not keep it from decoding
            return Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        raise DataError(f"{name}: {_looks_like(data)}; PNG, JPEG, WebP, BMP, TIFF and GIF are read") from None
    except Image.DecompressionBombError:
        raise DataError(f"{name}: has more pixels than {_too_large(MAX_PIXELS)}") from None
    except _DAMAGE as error:
        raise DataError(f"{name}: its header cannot be read: {error}") from error


def _check_size(file: _File, max_pixels: int) -> None:
    width, height = file.picture.size
    limit = min(max_pixels, MAX_DECODING_BYTES // file.bytes_per_pixel)
    if width * height > limit:
        raise DataError(f"{file.name}: {width} x {height} pixels are more than {_too_large(limit)}")


def _too_large(limit: int) -> str:
    return (
        f"the {limit // 10**6} megapixels that are read of a picture of this kind; make it smaller, save it as an "
        "ordinary 8-bit PNG or JPEG, or cut out the part with the faces"
    )


def _looks_like(data: bytes) -> str:
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<svg")):
        return "is a web page or XML, not a picture (a failed download?)"
    if data[4:8] == b"ftyp":
        return "is a HEIC, AVIF or video file, which is not read; save it as JPEG or PNG"
    return f"is not a picture of a known kind (it starts with {data[:8]!r})"


def _orientation(picture: Image.Image) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = picture.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGE:
        return 1  # unreadable EXIF says nothing; viewers show the picture as it is stored, too
    return orientation if orientation in range(1, 9) else 1


def _decode_plain(file: _File) -> np.ndarray:
    try:
        rgb = cv2.imdecode(np.frombuffer(file.data, np.uint8), _FLAGS | (_RGB_FLAG or cv2.IMREAD_COLOR))
    except cv2.error as error:
        raise DataError(f"{file.name}: cannot be decoded: {error.err}") from error
    width, height = file.picture.size
    if rgb is None or rgb.shape != (height, width, 3):
        raise DataError(f"{file.name}: cannot be decoded; the file is damaged")
    if _RGB_FLAG is None:
        cv2.cvtColor(rgb, cv2.COLOR_BGR2RGB, dst=rgb)
    return _upright(_to_8_bit(rgb), file.orientation)


def _decode_other(file: _File) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags that make no difference
            file.picture.load()
            return _upright(_to_rgb(file.picture, file.name), _orientation(file.picture))
    except DataError:
        raise
    except (*_DAMAGE, MemoryError) as error:
        raise DataError(f"{file.name}: cannot be decoded: {error}") from error


def _to_rgb(picture: Image.Image, name: Name) -> np.ndarray:
    if picture.mode in ("I", "F"):
        raise DataError(f"{name}: 32 bits per channel have no agreed range; save it with 8 or 16 bits")
    width, height = picture.size
    rgb = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _BAND):
        rows = slice(top, min(height, top + _BAND))
        rgb[rows] = _band_to_rgb(picture.crop((0, top, width, rows.stop)))
    return rgb


def _band_to_rgb(band: Image.Image) -> np.ndarray:
    if band.mode.startswith("I;16"):
        return _to_8_bit(np.asarray(band).astype(np.uint16))[..., None]
    if band.has_transparency_data:
        rgba = band.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
    return np.asarray(band.convert("RGB"))


def _to_8_bit(array: np.ndarray) -> np.ndarray:
    """Round uint16 to uint8, band by band; uint8 is returned as it is."""
    if array.dtype == np.uint8:
        return array
    rounded = np.empty(array.shape, np.uint8)
    for top in range(0, len(array), _BAND):
        rounded[top : top + _BAND] = (array[top : top + _BAND].astype(np.uint32) + 128) // 257
    return rounded


def _upright(rgb: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation: 2 to 4 mirror and turn by half, 5 to 8 exchange rows and columns, too."""
    if orientation >= 5:
        rgb = rgb.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb)
