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
from dmdnet.metrics.parts import compare_in_parts
from dmdnet.metrics.regions import masked_mean


def lpips_maps(recipe: str, features: LPIPSFeatures, inputs: MetricInput) -> list[Tensor]:
    """Return what each place of each layer adds to the distance, (B,h,w) float32 a layer.

    Raises:
        DataError: there is no target, or the two do not fit.
    """
    if features not in inputs.pred_memo:
        inputs.pred_memo[features] = compare_in_parts(recipe, features, inputs, to_float, features.distance_maps)
    found: list[Tensor] = inputs.pred_memo[features]
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
