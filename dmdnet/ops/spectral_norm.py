"""A convolution whose weight is divided by its largest singular value (Miyato et al. 2018, arXiv 1802.05957).

The parameters and buffers are those of torch's first spectral norm, which published weights use: `weight_orig`,
`bias`, `weight_u`, `weight_v`. With W the weight as a matrix (out, in * kh * kw):

    training:   v <- W^T u / |W^T u|,  u <- W v / |W v|  (once a forward, no gradient)
    always:     weight = weight_orig / (u . W v),  differentiated through W only
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmdnet.ops.precision import without_autocast

_EPS = 1e-12
_INITIAL_ITERATIONS = 15


def spectral_weight(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return `weight / (u . W v)`; the gradient flows through the weight, never through u and v."""
    sigma = torch.dot(u, torch.mv(weight.flatten(1), v))
    return weight / sigma


@torch.no_grad()
def power_iteration(weight: Tensor, u: Tensor, v: Tensor) -> None:
    """Update the singular vectors u (out,) and v (in * kh * kw,) in place, once."""
    matrix = weight.flatten(1)
    F.normalize(torch.mv(matrix.T, u), dim=0, eps=_EPS, out=v)
    F.normalize(torch.mv(matrix, v), dim=0, eps=_EPS, out=u)


class SpectralConv2d(nn.Module):
    """Spectral-normed 2-D convolution, "same" padding for odd kernels.

    Args:
        in_channels, out_channels: at least 1.
        kernel_size: odd.
        stride: of the convolution.
        dilation: of the convolution; the padding is `dilation * (kernel_size // 2)`.

    The weight starts orthogonal: all of its singular values are then 1, so that the division keeps the size of
    the signal. (A Gaussian start would halve it at every convolution, and the biases drown the picture.)
    """

    weight_u: Tensor
    weight_v: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, *, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.stride = stride
        self.dilation = dilation
        self.padding = dilation * (kernel_size // 2)
        self.weight_orig = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.register_buffer("weight_u", torch.empty(out_channels))
        self.register_buffer("weight_v", torch.empty(in_channels * kernel_size**2))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw an orthogonal weight from torch's generator, a zero bias, and singular vectors that fit the weight."""
        if self.weight_orig.is_meta:
            return
        nn.init.orthogonal_(self.weight_orig)
        nn.init.zeros_(self.bias)
        F.normalize(torch.randn_like(self.weight_u), dim=0, out=self.weight_u)
        for _ in range(_INITIAL_ITERATIONS):
            power_iteration(self.weight_orig, self.weight_u, self.weight_v)

    def normalized_weight(self) -> Tensor:
        """Return the weight that this forward uses; in training, after one power iteration."""
        # In float32 also under autocast: bfloat16 products would move sigma by per cents.
        with without_autocast(self.weight_orig.device):
            u, v = self.weight_u, self.weight_v
            if self.training:
                power_iteration(self.weight_orig, u, v)
                # The graph keeps copies: a second forward before the backward updates the buffers in place.
                u, v = u.clone(), v.clone()
            return spectral_weight(self.weight_orig, u, v)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the convolution of `x_BCHW`, (B, out_channels, H / stride, W / stride)."""
        weight = self.normalized_weight()
        return F.conv2d(x_BCHW, weight, self.bias, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        """Return the shape in the printed network."""
        out_channels, in_channels, kernel, _ = self.weight_orig.shape
        return f"{in_channels}, {out_channels}, kernel_size={kernel}, stride={self.stride}, dilation={self.dilation}"
