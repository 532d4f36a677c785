"""Structural similarity (Wang et al., IEEE TIP 2004), per picture, over the picture or over eyes and mouth."""

from __future__ import annotations

from torch import Tensor

from dmdnet.errors import DataError
from dmdnet.metrics.base import Metric, MetricInput
from dmdnet.metrics.gaussian import WINDOW, ssim_parts
from dmdnet.metrics.parts import in_parts
from dmdnet.metrics.regions import NO_BOXES, Color, Region, as_color, masked_mean, pair, recipe_name, region_mask
from dmdnet.registry import METRICS


@METRICS.register()
class SSIM(Metric):
    """Mean of the SSIM map with an 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, peak 255.

    Only windows that lie wholly inside the picture count; each channel is compared on its own and the maps are
    averaged. This is the original definition, and scikit-image's with `gaussian_weights`, `sigma=1.5` and
    `use_sample_covariance=False`, to 1e-6: it is computed in float32, in an order that loses next to nothing to it.

    Args:
        color: "rgb" averages over the three channels, "y" compares BT.601 luma.
        region: a region other than "image" is the mean of the same map over the window centres inside its boxes.
    """

    smallest_side = WINDOW

    def __init__(self, *, color: Color = "rgb", region: Region = "image") -> None:
        super().__init__()
        self.color: Color = color
        self.region: Region = region
        self.undefined = "" if region == "image" else NO_BOXES
        self.recipe = recipe_name("ssim", color, region, "gauss11")

    def forward(self, inputs: MetricInput) -> Tensor:
        """Return similarities (B,), in [-1, 1]; see `Metric.forward`."""
        pred_BCHW, target_BCHW = pair(self.recipe, inputs)
        check_side(self.recipe, pred_BCHW, self.smallest_side)
        margin = WINDOW // 2
        mask = region_mask(self.recipe, self.region, inputs.boxes_B44, pred_BCHW)[:, margin:-margin, margin:-margin]
        return in_parts(self._mean_similarity, pred_BCHW, target_BCHW, mask)

    def _mean_similarity(self, pred_BCHW: Tensor, target_BCHW: Tensor, mask_BHW: Tensor) -> Tensor:
        return masked_mean(ssim_map(as_color(pred_BCHW, self.color), as_color(target_BCHW, self.color)), mask_BHW)


def ssim_map(first_BCHW: Tensor, second_BCHW: Tensor) -> Tensor:
    """Return the SSIM map (B,C,H-10,W-10) of two pictures in [0, 255], equation 13 of the paper."""
    luminance, contrast_structure = ssim_parts(first_BCHW, second_BCHW)
    return luminance * contrast_structure


def check_side(recipe: str, picture_BCHW: Tensor, smallest: int) -> None:
    """Raise a DataError where a picture is smaller than the metric's window."""
    if min(picture_BCHW.shape[-2:]) < smallest:
        raise DataError(
            f"{recipe}: a picture of {tuple(picture_BCHW.shape[-2:])} pixels is smaller than {smallest}x{smallest}, "
            "the least that it works on; leave this metric out for such pictures"
        )
