"""Structural similarity (Wang et al., IEEE TIP 2004), per picture, over the picture or over eyes and mouth."""

from __future__ import annotations

import math

import torch

from dmdnet.errors import DataError
from dmdnet.metrics.base import Metric, MetricInput
from dmdnet.metrics.regions import Color, Region, as_color, masked_mean, pair, recipe_name, region_mask
from dmdnet.registry import METRICS

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


@METRICS.register()
class SSIM(Metric):
    """Mean of the SSIM map with an 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, peak 255.

    Only windows that lie wholly inside the picture count; each channel is compared on its own and the maps are
    averaged. This is the original definition, and scikit-image's with `gaussian_weights`, `sigma=1.5` and
    `use_sample_covariance=False`.

    Args:
        color: "rgb" averages over the three channels, "y" compares BT.601 luma.
        region: a region other than "image" is the mean of the same map over the window centres inside its boxes.
    """

    def __init__(self, *, color: Color = "rgb", region: Region = "image") -> None:
        super().__init__()
        self.color: Color = color
        self.region: Region = region
        self.recipe = recipe_name("ssim", color, region, "gauss11")

    def forward(self, inputs: MetricInput) -> torch.Tensor:
        """Return similarities (B,), in [-1, 1]; see `Metric.forward`."""
        pred_BCHW, target_BCHW = pair(self.recipe, inputs)
        if min(pred_BCHW.shape[-2:]) < WINDOW:
            raise DataError(
                f"{self.recipe}: a picture of {tuple(pred_BCHW.shape[-2:])} pixels is smaller than the "
                f"{WINDOW}x{WINDOW} window; leave this metric out for such pictures"
            )
        margin = WINDOW // 2
        mask = region_mask(self.recipe, self.region, inputs.boxes_B44, pred_BCHW)[:, margin:-margin, margin:-margin]
        similarity = ssim_map(as_color(pred_BCHW, self.color), as_color(target_BCHW, self.color))
        return masked_mean(similarity, mask)


def ssim_map(first_BCHW: torch.Tensor, second_BCHW: torch.Tensor) -> torch.Tensor:
    """Return the SSIM map (B,C,H-10,W-10) of two pictures in [0, 255], equation 13 of the paper."""
    moments = torch.stack((first_BCHW, second_BCHW, first_BCHW**2, second_BCHW**2, first_BCHW * second_BCHW))
    mean1, mean2, square1, square2, product = _gaussian_blur(moments)
    variance1 = square1 - mean1**2
    variance2 = square2 - mean2**2
    covariance = product - mean1 * mean2
    luminance = (2 * mean1 * mean2 + C1) / (mean1**2 + mean2**2 + C1)
    return luminance * (2 * covariance + C2) / (variance1 + variance2 + C2)


def _gaussian_blur(planes: torch.Tensor) -> torch.Tensor:
    """Return (..., H-10, W-10): every plane under the separable window, without padding."""
    half = WINDOW // 2
    weights = [math.exp(-((offset - half) ** 2) / (2 * SIGMA**2)) for offset in range(WINDOW)]
    weights = [weight / sum(weights) for weight in weights]
    for axis in (-2, -1):
        # sums of shifted views: in float64 on a CPU four times as fast as a convolution
        planes = _weighted_shifts(planes, weights, axis)
    return planes


def _weighted_shifts(planes: torch.Tensor, weights: list[float], axis: int) -> torch.Tensor:
    length = planes.shape[axis] - len(weights) + 1
    total = planes.narrow(axis, 0, length) * weights[0]
    for offset, weight in enumerate(weights[1:], start=1):
        total.add_(planes.narrow(axis, offset, length), alpha=weight)
    return total
