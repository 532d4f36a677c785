"""Peak signal-to-noise ratio, per picture, over the picture or over eyes and mouth."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from dmdnet.metrics.base import Metric, MetricInput
from dmdnet.metrics.parts import in_parts
from dmdnet.metrics.regions import NO_BOXES, Color, Region, as_color, masked_mean, pair, recipe_name, region_mask
from dmdnet.registry import METRICS

IDENTICAL_DB = 120.0


@METRICS.register()
class PSNR(Metric):
    """10 log10(255^2 / MSE) in dB, of 8-bit pictures.

    Identical pictures score 120 dB instead of infinity, so that a mean stays finite. That is more than one grey level
    off in one channel of one pixel gives in an RGB picture of up to 2000 x 2000 (118.9 dB), so that it does not tie
    with a picture that differs.

    Args:
        color: "rgb" pools the squared error over the three channels; "y" compares BT.601 luma in [16, 235], against
            the same peak of 255, which gives about 1.3 dB more for the same grey error.
        crop_border: pixels left out along each side of the picture.
        region: "components" pools the squared error over the union of both eye boxes and the mouth box.
    """

    def __init__(
        self, *, color: Color = "rgb", crop_border: Annotated[int, Field(ge=0)] = 0, region: Region = "image"
    ) -> None:
        super().__init__()
        self.color: Color = color
        self.crop_border = crop_border
        self.region: Region = region
        self.undefined = "" if region == "image" else NO_BOXES
        crop = (f"crop{crop_border}",) if crop_border else ()
        self.recipe = recipe_name("psnr", color, region, *crop)

    def forward(self, inputs: MetricInput) -> torch.Tensor:
        """Return dB (B,), in [0, 120]; see `Metric.forward`."""
        pred_BCHW, target_BCHW = pair(self.recipe, inputs)
        mask = region_mask(self.recipe, self.region, inputs.boxes_B44, pred_BCHW, self.crop_border)
        return psnr_of_mse(in_parts(self._mean_squared_error, pred_BCHW, target_BCHW, mask))

    def _mean_squared_error(
        self, pred_BCHW: torch.Tensor, target_BCHW: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        return masked_mean(squared_error(as_color(pred_BCHW, self.color), as_color(target_BCHW, self.color)), mask)


def squared_error(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the squared difference of each pixel; of uint8 pictures as float32, which is exact."""
    if first.dtype == torch.uint8:
        return (first.to(torch.int16) - second.to(torch.int16)).to(torch.float32).square_()
    return (first - second).square_()


def psnr_of_mse(mse_B: torch.Tensor) -> torch.Tensor:
    """Return 10 log10(255^2 / MSE), 120 for no error, NaN for NaN."""
    decibels = 10.0 * torch.log10(255.0**2 / mse_B)
    return decibels.clamp(max=IDENTICAL_DB)
