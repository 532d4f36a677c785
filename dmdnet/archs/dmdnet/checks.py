"""Checks of shapes and types at the network's door. They read no values, so nothing waits for the device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from dmdnet.archs.dmdnet.layout import NetworkSize
from dmdnet.archs.dmdnet.specific_dictionary import SpecificDictionary
from dmdnet.errors import NetworkInputError

OUTPUTS = ("generic", "specific")


def check_faces(images: Tensor, boxes: Tensor, image_size: int, what: str) -> None:
    """Check pictures (N, 3, S, S), floating point, with boxes (N, 4, 4), integer.

    Raises:
        NetworkInputError: naming `what`, the shape or type found and the one expected.
    """
    if images.dim() != 4 or tuple(images.shape[1:]) != (3, image_size, image_size):
        raise NetworkInputError(
            f"{what} must be (N, 3, {image_size}, {image_size}), not {_text(images.shape)}; "
            f"this network was made for image_size={image_size}"
        )
    _check_types(images, boxes, what)
    if boxes.shape != (len(images), 4, 4):
        raise NetworkInputError(
            f"boxes of the {what} must be ({len(images)}, 4, 4), not {_text(boxes.shape)}: "
            "left eye, right eye, nose, mouth by x0 y0 x1 y1"
        )


def check_references(refs: Tensor, boxes: Tensor, mask: Tensor | None, image_size: int) -> None:
    """Check references (B, R, 3, S, S) with boxes (B, R, 4, 4) and a mask (B, R).

    Raises:
        NetworkInputError: naming the shape or type found and the one expected.
    """
    if refs.dim() != 5 or tuple(refs.shape[2:]) != (3, image_size, image_size) or 0 in refs.shape:
        raise NetworkInputError(
            f"references must be (R, 3, {image_size}, {image_size}), or such with a leading B, at least one; "
            f"not {_text(refs.shape)}"
        )
    _check_types(refs, boxes, "references")
    people, slots = refs.shape[:2]
    if boxes.shape != (people, slots, 4, 4):
        raise NetworkInputError(f"boxes of the references must be ({people}, {slots}, 4, 4), not {_text(boxes.shape)}")
    if mask is None:
        return
    if mask.shape != (people, slots):
        raise NetworkInputError(f"the reference mask must be ({people}, {slots}), not {_text(mask.shape)}")
    if mask.dtype != torch.bool:
        raise NetworkInputError(f"the reference mask must be bool, True where there is a reference, not {mask.dtype}")


def check_outputs(
    outputs: Sequence[str], dictionary: SpecificDictionary | None, batch: int, size: NetworkSize
) -> list[str]:
    """Return the outputs to compute, in their fixed order.

    Raises:
        NetworkInputError: an unknown output, nothing to compute, or a dictionary that does not fit.
    """
    if isinstance(outputs, str) or not set(outputs) <= set(OUTPUTS):
        raise NetworkInputError(f"outputs must be some of {OUTPUTS}, not {outputs!r}")
    if dictionary is not None:
        defect = dictionary.defect(size)
        if defect:
            raise NetworkInputError(defect)
        if len(dictionary) not in (1, batch):
            raise NetworkInputError(
                f"the dictionary holds {len(dictionary)} people; a batch of {batch} faces needs as many, or one"
            )
    wanted = [name for name in OUTPUTS if name in outputs and (name == "generic" or dictionary is not None)]
    if not wanted:
        raise NetworkInputError(
            f"outputs {tuple(outputs)} and no dictionary leave nothing to compute; enrol references"
        )
    return wanted


def _check_types(images: Tensor, boxes: Tensor, what: str) -> None:
    if not images.is_floating_point():
        raise NetworkInputError(f"{what} must be floating point in [-1, 1], not {images.dtype}; see images.to_float")
    if boxes.is_floating_point() or boxes.is_complex() or boxes.dtype == torch.bool:
        raise NetworkInputError(f"boxes of the {what} must be integer pixels of the network's input, not {boxes.dtype}")


def _text(shape: Iterable[int]) -> str:
    return "(" + ", ".join(str(length) for length in shape) + ")"
