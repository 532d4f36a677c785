"""Deep image structure and texture similarity (Ding et al., TPAMI 2020), per picture."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from dmdnet.features.dists import DISTSFeatures, load_dists
from dmdnet.metrics.base import Metric, MetricInput
from dmdnet.metrics.parts import compare_in_parts
from dmdnet.metrics.ssim import check_side
from dmdnet.registry import METRICS


@METRICS.register()
class DISTS(Metric):
    """How far structure and texture of VGG16 features are apart, of RGB pictures in [0, 1] at their own size.

    The authors' demonstration first makes larger pictures' shorter side 256 pixels; that is another number. Needs
    VGG16's weights (`python -m dmdnet weights`) and torchmetrics, which brings those of the features.
    """

    higher_is_better: ClassVar[bool] = False
    smallest_side = 16
    recipe = "dists@vgg/[0,1]/rgb/full"
    features: DISTSFeatures

    def __init__(self) -> None:
        super().__init__()

    def prepare(self, weights_folder: str | None) -> None:
        """Load the network; see `Metric.prepare`."""
        self.features = load_dists(weights_folder)

    def forward(self, inputs: MetricInput) -> Tensor:
        """Return distances (B,), from 0; see `Metric.forward`."""
        check_side(self.recipe, inputs.pred_BCHW, self.smallest_side)
        (distance_B,) = compare_in_parts(
            self.recipe,
            self.features,
            inputs,
            _picture,
            lambda pred, target: [self.features.distance(pred, target)],
        )
        return distance_B.double()


def _picture(picture_BCHW: Tensor) -> Tensor:
    image = picture_BCHW.float() / 255
    return image.contiguous(memory_format=torch.channels_last) if image.device.type == "cpu" else image
