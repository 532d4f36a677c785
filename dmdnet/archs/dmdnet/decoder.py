"""From the pasted features at three scales back to a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmdnet.archs.dmdnet.blocks import SLOPE, ResidualBlock, activation, pair
from dmdnet.archs.dmdnet.layout import NetworkSize
from dmdnet.ops.precision import at_least_float32
from dmdnet.ops.spectral_norm import SpectralConv2d


class DilatedContext(nn.Module):
    """Four pairs with dilations 4, 3, 2, 1 side by side, joined by a convolution, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(pair(channels, channels, dilation=dilation) for dilation in (4, 3, 2, 1))
        self.join = SpectralConv2d(4 * channels, channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        joined_BCHW: Tensor = self.join(torch.cat([branch(x_BCHW) for branch in self.branches], dim=1))
        return joined_BCHW.add_(x_BCHW)


class StyledUpBlock(nn.Module):
    """Narrow the features, scale and shift them by the style map, double their resolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.narrow = pair(in_channels, out_channels)
        self.scale = pair(in_channels, out_channels)
        self.shift = pair(in_channels, out_channels)
        self.refine = pair(out_channels, out_channels)

    def forward(self, x_BCHW: Tensor, style_NCHW: Tensor) -> Tensor:
        """Return (N, out_channels, 2H, 2W).

        `style_NCHW` may hold several styles of the same batch, one after the other (N a multiple of B): what does
        not depend on the style is then computed once.
        """
        x = F.leaky_relu(self.narrow(x_BCHW), SLOPE, inplace=True)
        x = x.repeat(len(style_NCHW) // len(x), 1, 1, 1)
        x = torch.addcmul(self.shift(style_NCHW), x, self.scale(style_NCHW))
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        # Layer by layer: the call of a Sequential would hold its input to the end, half a gigabyte at 512 px.
        for layer in self.refine:
            x = layer(x)
        return x


class Decoder(nn.Module):
    """Dilated context, three styled up blocks from coarse to fine, two residual blocks, tanh.

    Args:
        size: the network's size.
    """

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        fine, middle, coarse = (size.channels(level) for level in range(3))
        self.context = DilatedContext(coarse)
        self.blocks = nn.ModuleList(
            [StyledUpBlock(coarse, middle), StyledUpBlock(middle, fine), StyledUpBlock(fine, fine)]
        )
        self.to_rgb = nn.Sequential(
            SpectralConv2d(fine, fine),
            activation(),
            ResidualBlock(fine),
            ResidualBlock(fine),
            SpectralConv2d(fine, 3),
            nn.Tanh(),
        )

    def forward(self, coarsest_BCHW: Tensor, styles: Sequence[Tensor]) -> Tensor:
        """Return pictures (N, 3, H, W) in [-1, 1].

        Args:
            coarsest_BCHW: features of the degraded face at stride 8, nothing pasted.
            styles: pasted features at strides 2, 4, 8, (N, C, H, W), N a multiple of B: several versions of the
                same batch, one after the other.
        """
        x: Tensor = self.context(coarsest_BCHW)
        for block, style in zip(self.blocks, reversed(styles), strict=True):
            x = block(x, style)
        for layer in self.to_rgb:
            x = layer(x)
        return at_least_float32(x)
