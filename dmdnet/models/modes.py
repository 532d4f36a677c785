"""What a batch can be restored to: `input` (as it came), `generic`, `specific`, and `wrong_person`.

`wrong_person` is the specific output with another person's references: how much of `specific` is the right person's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dmdnet.data.batch import FaceBatch, References
from dmdnet.errors import ConfigError, DataError
from dmdnet.images import to_float

MODES = ("input", "generic", "specific", "wrong_person")


def restore_modes(net: nn.Module, batch: FaceBatch, modes: Sequence[str], device: torch.device) -> dict[str, Tensor]:
    """Return mode -> pictures, float32 RGB [-1, 1] (B, 3, H, W), in the order of `modes`.

    Raises:
        ConfigError: an unknown mode.
        DataError: a mode needs references that the batch does not have.
    """
    unknown = [mode for mode in modes if mode not in MODES]
    if unknown:
        raise ConfigError(f"val.modes: {', '.join(unknown)} unknown; known are {', '.join(MODES)}")
    lq_BCHW = to_float(batch.lq_BCHW.to(device, non_blocking=True))
    boxes_B44 = batch.lq_boxes_B44.to(device, non_blocking=True)
    found = {"input": lq_BCHW}
    if "specific" in modes:
        output = _run(net, lq_BCHW, boxes_B44, _needed(batch.references, "specific", batch), ("generic", "specific"))
        found |= {"generic": output.generic, "specific": output.specific}
    elif "generic" in modes:
        found["generic"] = net(lq_BCHW, boxes_B44, outputs=("generic",)).generic
    if "wrong_person" in modes:
        wrong = _needed(batch.wrong_references, "wrong_person", batch)
        found["wrong_person"] = _run(net, lq_BCHW, boxes_B44, wrong, ("specific",)).specific
    return {mode: found[mode].float() for mode in modes}


def _needed(references: References | None, mode: str, batch: FaceBatch) -> References:
    if references is None:
        raise DataError(
            f"mode {mode!r} needs {'another person' if mode == 'wrong_person' else 'a person'}'s references, which "
            f"{batch.names[0]} came without; let the data set give them or take {mode!r} out of val.modes"
        )
    return references


def _run(net: Any, lq_BCHW: Tensor, boxes_B44: Tensor, references: References, outputs: tuple[str, ...]) -> Any:
    refs_BRCHW = to_float(references.images_BRCHW.to(lq_BCHW.device, non_blocking=True))
    boxes_BR44 = references.boxes_BR44.to(lq_BCHW.device, non_blocking=True)
    # a mask on the host says which slots are empty, and these are not encoded
    dictionary = net.enrol(refs_BRCHW, boxes_BR44, references.mask_BR.cpu())
    return net(lq_BCHW, boxes_B44, dictionary, outputs=outputs)
