"""Comparing pictures in parts of the batch that the machine can hold, on a CPU on all of its cores.

Shapes: B batch, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from dmdnet.metrics.base import MetricInput
from dmdnet.metrics.regions import pair
from dmdnet.ops.cores import on_all_cores
from dmdnet.ops.precision import full_float32_products

# At 512 pixels LPIPS holds about 0.5 GB a picture
_PICTURES_AT_A_TIME = 8
# Features of targets that are kept for the next method's answers to the same batch; others are made again.
KEPT_BYTES = 2**30


@torch.no_grad()
def in_parts(function: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """Return `function(*batches)`, (B,...), where every row is of its own: picture by picture on all cores of a CPU,
    whole on a device."""
    if batches[0].device.type != "cpu":
        return function(*batches)
    return torch.cat(on_all_cores(lambda part: function(*(batch[part] for batch in batches)), _parts(batches[0])))


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
    on_cpu = pred_BCHW.device.type == "cpu"
    each = on_all_cores if on_cpu else _one_by_one
    together = min(torch.get_num_threads(), _PICTURES_AT_A_TIME) if on_cpu else 1
    found = []
    with full_float32_products(pred_BCHW.device):
        for first in range(0, len(parts), together):
            now = parts[first : first + together]
            new = [part for part in now if part.start not in kept]
            pictures_in = [target_BCHW[part] for part in new] + [pred_BCHW[part] for part in now]
            features = each(lambda pictures: network(picture(pictures)), pictures_in)
            targets = kept | {part.start: target for part, target in zip(new, features, strict=False)}
            if sum(map(_bytes, targets.values())) <= KEPT_BYTES:
                kept.update(targets)
            pairs = [(pred, targets[part.start]) for pred, part in zip(features[len(new) :], now, strict=True)]
            found += each(lambda pair: compare(*pair), pairs)
    return [torch.cat(rows) for rows in zip(*found, strict=True)]


def _parts(pictures_BCHW: Tensor) -> list[slice]:
    """Return the parts of the batch that go through the network together: on a CPU, larger ones leave its caches."""
    count = len(pictures_BCHW)
    step = 1 if pictures_BCHW.device.type == "cpu" else _PICTURES_AT_A_TIME
    return [slice(start, start + step) for start in range(0, count, step)]


def _one_by_one(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    return [function(item) for item in items]


def _bytes(features: list[Tensor]) -> int:
    return sum(layer.numel() * layer.element_size() for layer in features)
