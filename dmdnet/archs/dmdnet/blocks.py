"""Building blocks. Every convolution is spectral-normed, LeakyReLU has slope 0.2, and there is no norm layer."""

from __future__ import annotations

from torch import Tensor, nn

from dmdnet.ops.spectral_norm import SpectralConv2d

SLOPE = 0.2


def activation() -> nn.LeakyReLU:
    """Return the activation for what a convolution has just made, which nothing else needs: it works in place."""
    return nn.LeakyReLU(SLOPE, inplace=True)


def pair(in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return conv(in -> out) - LeakyReLU - conv(out -> out); the stride is that of the first."""
    return nn.Sequential(
        SpectralConv2d(in_channels, out_channels, stride=stride, dilation=dilation),
        activation(),
        SpectralConv2d(out_channels, out_channels, dilation=dilation),
    )


class ResidualBlock(nn.Module):
    """x + conv - LeakyReLU - conv; each convolution has its own dilation."""

    def __init__(self, channels: int, dilations: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        first, second = dilations
        self.body = nn.Sequential(
            SpectralConv2d(channels, channels, dilation=first),
            activation(),
            SpectralConv2d(channels, channels, dilation=second),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        change_BCHW: Tensor = self.body(x_BCHW)
        return change_BCHW.add_(x_BCHW)  # in place: no backward needs a convolution's output
