"""Comparing pictures by the features of a network, in parts of the batch that the machine can hold.

Shapes: B batch, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dmdnet.metrics.base import MetricInput
from dmdnet.metrics.regions import pair
from dmdnet.ops.precision import full_float32_products

# On a device; at 512 pixels LPIPS holds about 0.5 GB a picture
_PICTURES_AT_A_TIME = 8
# Features of targets that are kept for the next method's answers to the same batch; beyond it they are made again.
KEPT_BYTES = 2**30


@torch.no_grad()
def compare_in_parts(
    recipe: str,
    network: nn.Module,
    inputs: MetricInput,
    picture: Callable[[Tensor], Tensor],
    compare: Callable[[list[Tensor], list[Tensor]], list[Tensor]],
) -> list[Tensor]:
    """Return what `compare` finds in the features of predictions and targets, (B,...) each, in full float32.

    Args:
        recipe: of the metric, for messages.
        network: gives a list of features of pictures.
        inputs: the pictures; `target_memo` keeps the targets' features.
        picture: turns uint8 pictures into what the network takes.
        compare: (features of predictions, those of their targets) -> some tensors, a row for each picture.

    Raises:
        DataError: there is no target, or the two do not fit.
    """
    pred_BCHW, target_BCHW = pair(recipe, inputs)
    parts = _parts(pred_BCHW)
    kept = inputs.target_memo.setdefault(network, {})
    found = []
    with full_float32_products(pred_BCHW.device):
        for part in parts:
            target = kept.get(part.start)
            if target is None:
                target = network(picture(target_BCHW[part]))
                if _bytes(target) * len(parts) <= KEPT_BYTES:
                    kept[part.start] = target
            found.append(compare(network(picture(pred_BCHW[part])), target))
    return [torch.cat(rows) for rows in zip(*found, strict=True)]


def _parts(pictures_BCHW: Tensor) -> list[slice]:
    """Return the parts of the batch that go through the network together: on a CPU, larger ones leave its caches."""
    count = len(pictures_BCHW)
    step = 1 if pictures_BCHW.device.type == "cpu" else _PICTURES_AT_A_TIME
    return [slice(start, start + step) for start in range(0, count, step)]


def _bytes(features: list[Tensor]) -> int:
    return sum(layer.numel() * layer.element_size() for layer in features)
