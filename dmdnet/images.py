"""Pictures in and out of files, and between uint8 and the networks' float.

Files and arrays are uint8 RGB (H, W, 3); tensors are (..., 3, H, W), uint8 or float in [-1, 1].
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import torch

from dmdnet.errors import DataError
from dmdnet.files import check_writable, read_file, write_bytes
from dmdnet.image_decoding import IMAGE_SUFFIXES, decode_image

_ENCODER_OPTIONS = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100: lossless
}


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture file as a person sees it: uint8 RGB (H, W, 3), contiguous; see `decode_image`.

    Raises:
        DataError: the file is missing, empty, cut short, no picture, or too large.
    """
    return decode_image(read_file(path), path)


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
    if rgb.ndim == 3 and rgb.dtype == np.uint8 and rgb.shape[2] == 3 and rgb.flags.c_contiguous and rgb.size:
        return torch.from_numpy(np.stack(cv2.split(rgb)))  # five times as fast as a strided copy
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
