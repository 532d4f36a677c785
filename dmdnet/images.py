"""Pictures in and out of files, and between uint8 and the networks' float.

Files and arrays are uint8 RGB (H, W, 3); tensors are (..., 3, H, W), uint8 or float in [-1, 1].
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from dmdnet.errors import DataError
from dmdnet.files import check_writable, write_bytes
from dmdnet.image_integrity import JPEG_SIGNATURE, PNG_SIGNATURE, jpeg_defect, png_chunks

MAX_PIXELS = 64_000_000
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
_ORIENTATION_TAG = 0x0112
_PNG_BIT_DEPTH_BYTE = 24
_ENCODER_OPTIONS = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100: lossless
}


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture as a person sees it: uint8 RGB (H, W, 3), contiguous.

    The EXIF orientation is applied; 16 bits per channel are rounded to 8; grey, palette and CMYK become RGB;
    transparent parts are laid on white. Colour profiles are not applied. Of an animation the first picture is read.

    Raises:
        DataError: the file is missing, empty, cut short, no picture, or larger than MAX_PIXELS.
    """
    return decode_image(read_file(path), path)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file.

    Raises:
        DataError: it is missing, a folder, or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, a file was expected") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def decode_image(data: bytes, name: str | os.PathLike[str] = "picture", *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode the bytes of a picture file as `read_image` does.

    Args:
        data: the whole file.
        name: for messages.
        max_pixels: more than these are refused by the header.

    Raises:
        DataError: as for `read_image`.
    """
    if not data:
        raise DataError(f"{name}: the file is empty")
    picture = _open(data, name)
    width, height = picture.size
    if width * height > max_pixels:
        raise DataError(
            f"{name}: {width} x {height} pixels are more than the {max_pixels // 10**6} megapixels that are read; "
            "make the picture smaller or cut out the part with the faces"
        )
    plain = _check_whole(data, name)
    if plain and picture.mode == "RGB" and _orientation(picture) == 1:
        return _decode_plain(data, name)
    try:
        rgb = _to_rgb(ImageOps.exif_transpose(picture), name)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name}: cannot be decoded: {error}") from error
    return np.ascontiguousarray(rgb)


def _open(data: bytes, name: str | os.PathLike[str]) -> Image.Image:
    """Read the header only."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is checked by the caller
            return Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        raise DataError(f"{name}: {_looks_like(data)}; PNG, JPEG, WebP, BMP, TIFF and GIF are read") from None
    except Image.DecompressionBombError:
        raise DataError(
            f"{name}: has more pixels than the {MAX_PIXELS // 10**6} megapixels that are read; "
            "make the picture smaller or cut out the part with the faces"
        ) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{name}: its header cannot be read: {error}") from error


def _looks_like(data: bytes) -> str:
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<svg")):
        return "is a web page or XML, not a picture (a failed download?)"
    if data[4:8] == b"ftyp":
        return "is a HEIC, AVIF or video file, which is not read; save it as JPEG or PNG"
    return f"is not a picture of a known kind (it starts with {data[:8]!r})"


def _check_whole(data: bytes, name: str | os.PathLike[str]) -> bool:
    """Raise when a PNG or JPEG is not whole; return whether OpenCV reads it without a choice to make."""
    defect, plain = None, False
    if data.startswith(PNG_SIGNATURE):
        chunks, defect = png_chunks(data)
        plain = data[_PNG_BIT_DEPTH_BYTE] in (8, 16) and not chunks & {b"eXIf", b"tRNS", b"acTL"}
    elif data.startswith(JPEG_SIGNATURE):
        defect, plain = jpeg_defect(data), True
    if defect:
        raise DataError(f"{name}: the picture is {defect}; get the file again")
    return plain


def _orientation(picture: Image.Image) -> int:
    # a PNG's getexif() decodes the whole picture; its eXIf chunk was looked for already
    return 1 if picture.format == "PNG" else int(picture.getexif().get(_ORIENTATION_TAG, 1))


def _decode_plain(data: bytes, name: str | os.PathLike[str]) -> np.ndarray:
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if bgr is None:
        raise DataError(f"{name}: cannot be decoded; the file is damaged")
    return _to_8_bit(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _to_8_bit(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _to_rgb(picture: Image.Image, name: str | os.PathLike[str]) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        grey = _to_8_bit(np.asarray(picture).astype(np.uint16))
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode in ("I", "F"):
        raise DataError(f"{name}: 32 bits per channel have no agreed range; save it with 8 or 16 bits")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
    return np.asarray(picture.convert("RGB"))


def write_image(path: str | os.PathLike[str], rgb: np.ndarray) -> Path:
    """Write uint8 RGB (H, W, 3) atomically, in the format of the suffix (JPEG at quality 95, WebP lossless).

    Raises:
        DataError: unknown suffix, folder missing or not writable, or an array that is no picture.
    """
    path = Path(path)
    check_image_target(path)
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise DataError(f"{path}: a picture is uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
    suffix = path.suffix.lower()
    bgr = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(suffix, bgr, _ENCODER_OPTIONS.get(suffix, []))
    if not encoded:
        raise DataError(f"{path}: {rgb.shape[1]} x {rgb.shape[0]} pixels cannot be written as {suffix}")
    return write_bytes(path, data.tobytes())


def check_image_target(path: str | os.PathLike[str]) -> None:
    """Check, before the work is done, that `write_image` can write `path`.

    Raises:
        DataError: unknown suffix, or folder missing or not writable.
    """
    if Path(path).suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(f"{path}: unknown kind of picture; end the name in one of {' '.join(IMAGE_SUFFIXES)}")
    check_writable(path)


def list_images(folder: str | os.PathLike[str], recursive: bool = False) -> list[Path]:
    """Return the pictures in a folder by their suffix, sorted by name; hidden files are left out.

    Raises:
        DataError: the folder is missing or is a file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        reason = "is a file, a folder was expected" if folder.exists() else "there is no such folder"
        raise DataError(f"{folder}: {reason}")
    paths = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "." and path.is_file()
    )


def from_hwc(rgb: np.ndarray) -> torch.Tensor:
    """Return an array (..., H, W, 3) as a contiguous tensor (..., 3, H, W) of the same type."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(rgb, -1, -3)))


def to_hwc(image: torch.Tensor) -> np.ndarray:
    """Return a tensor (..., 3, H, W) as a contiguous array (..., H, W, 3) of the same type."""
    return np.ascontiguousarray(np.moveaxis(image.detach().cpu().numpy(), -3, -1))


def to_float(image: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return uint8 [0, 255] as float [-1, 1]."""
    return image.to(dtype).div_(127.5).sub_(1.0)


def to_uint8(image: torch.Tensor) -> torch.Tensor:
    """Return float [-1, 1] as uint8 [0, 255], limited and rounded to nearest."""
    return image.detach().float().clamp(-1.0, 1.0).add_(1.0).mul_(127.5).round_().to(torch.uint8)
