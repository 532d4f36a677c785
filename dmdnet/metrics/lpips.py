"""Learned perceptual distance (Zhang et al., CVPR 2018), per picture, over the picture or over eyes and mouth."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from dmdnet.features.lpips import SMALLEST_SIDE, LPIPSFeatures, Trunk, load_lpips
from dmdnet.metrics.base import Metric, MetricInput
from dmdnet.metrics.lpips_maps import lpips_maps, mean_of_maps, mean_over_mask
from dmdnet.metrics.regions import NO_BOXES, Region, region_mask
from dmdnet.metrics.ssim import check_side
from dmdnet.registry import METRICS


@METRICS.register()
class LPIPS(Metric):
    """The lpips package's distance, version 0.1, of RGB pictures brought to [-1, 1] once; in full float32.

    Args:
        net: the trunk, "alex" or "vgg". The two give different numbers. Needs the lpips package and the trunk's weights
            (`python -m dmdnet weights`).
        region: a region other than "image" is the mean of the package's spatial map over the region's boxes.
    """

    higher_is_better: ClassVar[bool] = False
    features: LPIPSFeatures

    def __init__(self, *, net: Trunk = "alex", region: Region = "image") -> None:
        super().__init__()
        self.net: Trunk = net
        self.region: Region = region
        self.smallest_side = SMALLEST_SIDE[net]
        self.undefined = "" if region == "image" else NO_BOXES
        self.recipe = f"lpips@{net}/[-1,1]/rgb" + ("" if region == "image" else f"/{region}")

    def prepare(self, weights_folder: str | None) -> None:
        """Load the network, which all metrics with this trunk share; see `Metric.prepare`."""
        self.features = load_lpips(self.net, weights_folder)

    def forward(self, inputs: MetricInput) -> Tensor:
        """Return distances (B,), from 0; see `Metric.forward`."""
        check_side(self.recipe, inputs.pred_BCHW, self.smallest_side)
        maps = lpips_maps(self.recipe, self.features, inputs)
        if self.region == "image":
            return mean_of_maps(maps)
        return mean_over_mask(maps, region_mask(self.recipe, self.region, inputs.boxes_B44, inputs.pred_BCHW))
