"""A spectral-normed U-Net that says of every pixel whether it is real.

Sources: U-Net GAN (Schonfeld et al., CVPR 2020, arXiv 2002.12655): an encoder of residual blocks, and a decoder with
skip connections whose output has the picture's size. With spectral norm and the decoder's logits alone, as restoration
uses it: Real-ESRGAN (Wang et al., ICCVW 2021, arXiv 2107.10833). The blocks are those of this project.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmdnet.archs.multi_scale_discriminator import DownBlock
from dmdnet.errors import ConfigError, NetworkInputError
from dmdnet.ops.spectral_norm import SpectralConv2d
from dmdnet.registry import ARCHS

_SLOPE = 0.2


class UpBlock(nn.Module):
    """Residual block at the size of the encoder's features, which are joined to those from below."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        joined = in_channels + skip_channels
        self.body = nn.Sequential(
            nn.LeakyReLU(_SLOPE),
            SpectralConv2d(joined, out_channels),
            nn.LeakyReLU(_SLOPE, inplace=True),
            SpectralConv2d(out_channels, out_channels),
        )
        self.skip = SpectralConv2d(joined, out_channels, kernel_size=1)

    def forward(self, below_BCHW: Tensor, skip_BCHW: Tensor) -> Tensor:
        """Return (B, out_channels, H, W) of the size of `skip_BCHW`."""
        raised = F.interpolate(below_BCHW, size=skip_BCHW.shape[2:], mode="bilinear", align_corners=False)
        joined = torch.cat([raised, skip_BCHW.to(raised.dtype)], dim=1)
        return self.body(joined) + self.skip(joined)


@ARCHS.register()
class UNetDiscriminator(nn.Module):
    """Logits for every pixel, and for the whole picture if asked for.

    Args:
        base_channels: channels at full size; they double at every halving.
        num_layers: halvings.
        max_channels: limit of the doubling.
        encoder_logits: judge the encoder's coarsest features as well, in a second map (Schonfeld et al.; their one
            logit a picture is a map here). The adversarial losses take the mean of both maps.

    Raises:
        ConfigError: a number below 1.
    """

    gives_features = True

    def __init__(
        self,
        *,
        base_channels: int = 64,
        num_layers: int = 3,
        max_channels: int = 512,
        encoder_logits: bool = False,
    ) -> None:
        super().__init__()
        if min(base_channels, num_layers, max_channels) < 1:
            raise ConfigError(
                f"base_channels={base_channels}, num_layers={num_layers}, max_channels={max_channels}: all must be at "
                "least 1"
            )
        self.smallest = 2**num_layers
        widths = [min(base_channels * 2**layer, max_channels) for layer in range(num_layers + 1)]
        self.stem = SpectralConv2d(3, widths[0])
        self.down = nn.ModuleList(DownBlock(*pair) for pair in pairwise(widths))
        self.up = nn.ModuleList(UpBlock(below, skip, skip) for skip, below in reversed(list(pairwise(widths))))
        self.pixel_logits = nn.Sequential(nn.LeakyReLU(_SLOPE), SpectralConv2d(widths[0], 1))
        self.encoder_logits: nn.Module | None = None
        if encoder_logits:
            self.encoder_logits = nn.Sequential(nn.LeakyReLU(_SLOPE), SpectralConv2d(widths[-1], 1))

    def forward(
        self, images_BCHW: Tensor, *, features: bool = False
    ) -> list[Tensor] | tuple[list[Tensor], list[Tensor]]:
        """Return maps of logits, float32: (B, 1, H, W), and (B, 1, h, w) of the encoder if there is one.

        Args:
            images_BCHW: (B, 3, H, W) in [-1, 1].
            features: return (maps, features) instead, with what each block below full size gave.

        Raises:
            NetworkInputError: not (B, 3, H, W), or too small for the halvings.
        """
        if images_BCHW.dim() != 4 or images_BCHW.shape[1] != 3 or min(images_BCHW.shape[2:]) < self.smallest:
            raise NetworkInputError(
                f"the discriminator needs (B, 3, H, W) with H and W at least {self.smallest}, "
                f"not {tuple(images_BCHW.shape)}; take fewer num_layers for small pictures"
            )
        skips = [self.stem(images_BCHW)]
        for block in self.down:
            skips.append(block(skips[-1]))
        x_BCHW = skips.pop()
        seen = [*skips[1:], x_BCHW]
        maps = [] if self.encoder_logits is None else [self.encoder_logits(x_BCHW).float()]
        for block in self.up:
            x_BCHW = block(x_BCHW, skips.pop())
            seen.append(x_BCHW)
        maps.insert(0, self.pixel_logits(x_BCHW).float())
        return (maps, seen[:-1]) if features else maps
