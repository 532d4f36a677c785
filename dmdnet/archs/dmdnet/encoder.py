"""The feature encoder: three scales of a face, at strides 2, 4 and 8. Two copies: degraded faces and references."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from dmdnet.archs.dmdnet.blocks import ResidualBlock, pair
from dmdnet.archs.dmdnet.layout import NetworkSize

_DILATIONS = ((5, 3), (3, 1), (1, 1))


class FeatureEncoder(nn.Module):
    """Three stages: halve and widen, residual block, pair, residual block; nothing between the stages.

    Args:
        size: the network's size; the stages have `base_channels` x 1, 2, 4 channels.
    """

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        in_channels = 3
        for level, dilations in enumerate(_DILATIONS):
            channels = size.channels(level)
            stages.append(
                nn.Sequential(
                    pair(in_channels, channels, stride=2),
                    ResidualBlock(channels, dilations),
                    pair(channels, channels),
                    ResidualBlock(channels, dilations),
                )
            )
            in_channels = channels
        self.stages = nn.ModuleList(stages)

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Return the features of `images_BCHW` [-1, 1] at strides 2, 4, 8."""
        features = []
        x = images_BCHW
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return tuple(features)


@dataclass(frozen=True)
class EncodedFace:
    """A batch of degraded faces, encoded. The mappings go by site name."""

    features: tuple[Tensor, ...]  # three scales, (B, C, H, W)
    boxes: dict[str, Tensor]  # (B, 4) in feature pixels; zero where the component is absent
    present_B3: Tensor  # bool, by component
    crops: dict[str, Tensor]  # (B, C, s, s)
    queries: dict[str, Tensor]  # (B, C / 4, s, s)
