"""Checks of shapes and types at the network's door. They read no values, so nothing waits for the device."""

from __future__ import annotations

import torch
from torch import Tensor

from dmdnet.errors import NetworkInputError


def check_faces(images: Tensor, boxes: Tensor, image_size: int, what: str) -> None:
    """Check pictures (N, 3, S, S), floating point, with boxes (N, 4, 4), integer.

    Raises:
        NetworkInputError: naming `what`, the shape or type found and the one expected.
    """
    wanted = ("N", 3, image_size, image_size)
    if images.dim() != 4 or tuple(images.shape[1:]) != wanted[1:]:
        raise NetworkInputError(f"{what} must be {_text(wanted)}, not {_text(images.shape)}; {_remedy(image_size)}")
    if not images.is_floating_point():
        raise NetworkInputError(f"{what} must be floating point in [-1, 1], not {images.dtype}; use to_float")
    _check_boxes(boxes, len(images), what)


def _check_boxes(boxes: Tensor, count: int, what: str) -> None:
    if tuple(boxes.shape) != (count, 4, 4):
        raise NetworkInputError(
            f"boxes of the {what} must be {_text((count, 4, 4))} (left eye, right eye, nose, mouth by x0 y0 x1 y1), "
            f"not {_text(boxes.shape)}"
        )
    if boxes.is_floating_point() or boxes.is_complex():
        raise NetworkInputError(f"boxes of the {what} must be integer pixels of the network's input, not {boxes.dtype}")


def check_mask(mask: Tensor, shape: tuple[int, int]) -> None:
    """Check the reference mask (B, R), bool.

    Raises:
        NetworkInputError: naming the shape or type found and the one expected.
    """
    if tuple(mask.shape) != shape:
        raise NetworkInputError(f"the reference mask must be {_text(shape)}, not {_text(mask.shape)}")
    if mask.dtype != torch.bool:
        raise NetworkInputError(f"the reference mask must be bool, True where there is a reference, not {mask.dtype}")


def _text(shape: object) -> str:
    return "(" + ", ".join(str(length) for length in shape) + ")"  # type: ignore[attr-defined]


def _remedy(image_size: int) -> str:
    return f"this network was made for image_size={image_size}"
