"""Multi-scale structural similarity (Wang et al., Asilomar 2003), per picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dmdnet.metrics.base import Metric, MetricInput
from dmdnet.metrics.gaussian import WINDOW, ssim_parts
from dmdnet.metrics.parts import in_parts
from dmdnet.metrics.regions import Color, as_color, pair, recipe_name
from dmdnet.metrics.ssim import check_side
from dmdnet.registry import METRICS

# Exponents of the five scales, from the finest to the coarsest (section 4 of the paper).
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@METRICS.register()
class MSSSIM(Metric):
    """Contrast and structure at five scales and luminance at the coarsest, with SSIM's window at each.

    From scale to scale the picture is halved by the mean of 2 x 2 pixels. A scale whose mean contrast and structure is
    negative counts as 0, as its fractional power would be no number.

    Args:
        color: "rgb" averages the numbers of the three channels, "y" compares BT.601 luma.
    """

    smallest_side = WINDOW * 2 ** (len(EXPONENTS) - 1)

    def __init__(self, *, color: Color = "rgb") -> None:
        super().__init__()
        self.color: Color = color
        self.recipe = recipe_name("ms_ssim", color, "image", "gauss11", "5scales")

    def forward(self, inputs: MetricInput) -> Tensor:
        """Return similarities (B,), in [0, 1]; see `Metric.forward`."""
        pred_BCHW, target_BCHW = pair(self.recipe, inputs)
        check_side(self.recipe, pred_BCHW, self.smallest_side)
        return in_parts(self._mean_of_channels, pred_BCHW, target_BCHW)

    def _mean_of_channels(self, pred_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        pictures = (as_color(picture_BCHW, self.color).float() for picture_BCHW in (pred_BCHW, target_BCHW))
        return ms_ssim(*pictures).double().mean(dim=1)


def ms_ssim(first_BCHW: Tensor, second_BCHW: Tensor) -> Tensor:
    """Return equation 7 of the paper for each channel of two float32 pictures in [0, 255], (B,C)."""
    factors = []
    for scale, exponent in enumerate(EXPONENTS):
        if scale:
            first_BCHW, second_BCHW = (functional.avg_pool2d(picture, 2) for picture in (first_BCHW, second_BCHW))
        luminance, contrast_structure = ssim_parts(first_BCHW, second_BCHW)
        last = scale == len(EXPONENTS) - 1
        mean_BC = (luminance * contrast_structure if last else contrast_structure).mean(dim=(2, 3))
        factors.append(mean_BC.clamp(min=0) ** exponent)
    return torch.stack(factors).prod(dim=0)
