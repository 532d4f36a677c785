"""Where two pictures differ by LPIPS: made once a picture, whichever regions the metrics then look at.

Shapes: B batch, C channels, H W pixels, h w places of a layer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dmdnet.features.lpips import LPIPSFeatures
from dmdnet.images import to_float
from dmdnet.metrics.base import MetricInput
from dmdnet.metrics.regions import masked_mean, pair
from dmdnet.ops.precision import full_float32_products

# Features of targets that are kept for the next method's answers to the same batch; beyond it they are made again.
KEPT_BYTES = 2**30


def lpips_maps(recipe: str, features: LPIPSFeatures, inputs: MetricInput) -> list[Tensor]:
    """Return what each place of each layer adds to the distance, (B,h,w) float32 a layer.

    Raises:
        DataError: there is no target, or the two do not fit.
    """
    pred_BCHW, target_BCHW = pair(recipe, inputs)
    memo = inputs.pred_memo
    if features not in memo:
        parts = _parts(pred_BCHW)
        kept = inputs.target_memo.setdefault(features, {})
        with torch.no_grad(), full_float32_products(pred_BCHW.device):
            maps = []
            for part in parts:
                target = kept.get(part.start)
                if target is None:
                    target = features(_picture(target_BCHW[part]))
                    if _bytes(target) * len(parts) <= KEPT_BYTES:
                        kept[part.start] = target
                maps.append(features.distance_maps(features(_picture(pred_BCHW[part])), target))
        memo[features] = [torch.cat(layer) for layer in zip(*maps, strict=True)]
    found: list[Tensor] = memo[features]
    return found


def mean_of_maps(maps: list[Tensor]) -> Tensor:
    """Return the distance of whole pictures, float64 (B,)."""
    return torch.stack([distance_Bhw.flatten(1).mean(dim=1) for distance_Bhw in maps]).sum(dim=0).double()


def mean_over_mask(maps: list[Tensor], mask_BHW: Tensor) -> Tensor:
    """Return the mean of the distance over the pixels of a mask, float64 (B,); NaN where the mask is empty.

    Each layer's map is brought to the picture's size by bilinear interpolation, as the lpips package's `spatial` does.
    Places near the mask have looked at pixels outside of it, too.
    """
    size = mask_BHW.shape[-2:]
    planes = [
        functional.interpolate(distance_Bhw[:, None], size=size, mode="bilinear", align_corners=False)
        for distance_Bhw in maps
    ]
    return masked_mean(torch.stack(planes).sum(dim=0).double(), mask_BHW)


def _parts(pictures_BCHW: Tensor) -> list[slice]:
    """Return the parts of the batch that go through the network together: on a CPU, larger ones leave its caches."""
    count = len(pictures_BCHW)
    step = 1 if pictures_BCHW.device.type == "cpu" else count
    return [slice(start, start + step) for start in range(0, count, step)]


def _picture(picture_BCHW: Tensor) -> Tensor:
    """Return float32 RGB in [-1, 1], the range that LPIPS was made for; on a CPU in the order its convolutions like."""
    image = to_float(picture_BCHW)
    return image.contiguous(memory_format=torch.channels_last) if image.device.type == "cpu" else image


def _bytes(features: list[Tensor]) -> int:
    return sum(layer.numel() * layer.element_size() for layer in features)
