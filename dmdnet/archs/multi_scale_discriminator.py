"""Spectral-normed residual discriminators on a picture and its halvings, as DMDNet's default recipe uses.

Source: the project's default (spec of the recipe, mark D): the shape of ReDegNet's pyramid, SNGAN's residual block
(Miyato et al. 2018, arXiv 1802.05957, appendix B.3).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from dmdnet.errors import ConfigError, NetworkInputError
from dmdnet.ops.spectral_norm import SpectralConv2d
from dmdnet.registry import ARCHS

_SLOPE = 0.2


class DownBlock(nn.Module):
    """Residual block that halves the resolution: LeakyReLU - conv - LReLU - conv - pool, beside 1x1 conv - pool."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.LeakyReLU(_SLOPE),
            SpectralConv2d(in_channels, out_channels),
            nn.LeakyReLU(_SLOPE, inplace=True),
            SpectralConv2d(out_channels, out_channels),
        )
        self.skip = SpectralConv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return (B, out_channels, H // 2, W // 2)."""
        # Pooling and a 1x1 convolution commute: the convolution runs on a quarter of the pixels.
        return F.avg_pool2d(self.body(x_BCHW), 2) + self.skip(F.avg_pool2d(x_BCHW, 2))


class ResidualDiscriminator(nn.Sequential):
    """One picture to one map of logits at stride 2 ** num_layers."""

    def __init__(self, base_channels: int, num_layers: int, max_channels: int) -> None:
        widths = [min(base_channels * 2**layer, max_channels) for layer in range(num_layers + 1)]
        blocks = [DownBlock(*pair) for pair in pairwise(widths)]
        super().__init__(SpectralConv2d(3, widths[0]), *blocks, nn.LeakyReLU(_SLOPE), SpectralConv2d(widths[-1], 1))


def with_features(discriminator: nn.Module, x_BCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the logits of a `ResidualDiscriminator`, float32, and what comes out of each of its blocks."""
    features = []
    for module in discriminator.children():
        x_BCHW = module(x_BCHW)
        if isinstance(module, DownBlock):
            features.append(x_BCHW)
    return x_BCHW.float(), features


@ARCHS.register()
class MultiScaleDiscriminator(nn.Module):
    """Discriminators of the same shape, with weights of their own, on the picture at full size, half, quarter, ...

    Args:
        base_channels: channels after the first convolution; they double at every layer.
        num_scales: pictures in the pyramid.
        num_layers: halvings within a discriminator.
        max_channels: limit of the doubling.

    Raises:
        ConfigError: a number below 1.
    """

    gives_features = True

    def __init__(
        self, *, base_channels: int = 64, num_scales: int = 3, num_layers: int = 4, max_channels: int = 512
    ) -> None:
        super().__init__()
        if min(base_channels, num_scales, num_layers, max_channels) < 1:
            raise ConfigError(
                f"base_channels={base_channels}, num_scales={num_scales}, num_layers={num_layers}, "
                f"max_channels={max_channels}: all must be at least 1"
            )
        self.smallest = 2 ** (num_scales - 1 + num_layers)
        self.scales = nn.ModuleList(
            ResidualDiscriminator(base_channels, num_layers, max_channels) for _ in range(num_scales)
        )

    def forward(
        self, images_BCHW: Tensor, *, features: bool = False
    ) -> list[Tensor] | tuple[list[Tensor], list[Tensor]]:
        """Return a map of logits (B, 1, h, w) for each scale, from fine to coarse, float32.

        Args:
            images_BCHW: (B, 3, H, W) in [-1, 1].
            features: return (maps, features) instead, with what each block of each scale gave.

        Raises:
            NetworkInputError: not (B, 3, H, W), or too small for the coarsest scale.
        """
        if images_BCHW.dim() != 4 or images_BCHW.shape[1] != 3 or min(images_BCHW.shape[2:]) < self.smallest:
            raise NetworkInputError(
                f"the discriminator needs (B, 3, H, W) with H and W at least {self.smallest}, "
                f"not {tuple(images_BCHW.shape)}; take fewer num_scales or num_layers for small pictures"
            )
        logits, seen = [], []
        for discriminator in self.scales:
            map_B1HW, layers = with_features(discriminator, images_BCHW)
            logits.append(map_B1HW)
            seen += layers
            images_BCHW = F.avg_pool2d(images_BCHW, 2)
        return (logits, seen) if features else logits
