"""Cut a turned and scaled square out of every picture of a batch, differentiably and with no host transfer.

`F.grid_sample` would do the sampling, but its backward pass has no deterministic form on CUDA devices, and a run with
`deterministic: true` would stop at it. Indexing has one.

Shape suffixes: B batch, C channels, H W pixels, S side of the square, P points.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dmdnet.ops.precision import at_least_float32, without_autocast

_SMALLEST_SPREAD = 1e-6  # pixels^2: points that coincide give no direction; the square is then not turned or scaled


def similarity_crop(
    images_BCHW: Tensor, points_BP2: Tensor, template_P2: Tensor, size: int, samples: int = 1
) -> Tensor:
    """Return the square in which the points of each picture come nearest to the template's.

    Args:
        images_BCHW: floating point. Outside it, its border goes on.
        points_BP2: x y in pixels of the picture, counted from pixel centres.
        template_P2: where they belong, x y in pixels of the square.
        size: side of the square in pixels.
        samples: so many samples a pixel in each direction are averaged; take the scale by which pictures shrink.

    Returns:
        (B, C, size, size) in float32 (float64 for float64 pictures), also under autocast.
    """
    with without_autocast(images_BCHW.device):
        images_BCHW = at_least_float32(images_BCHW)
        position = (torch.arange(size * samples, device=images_BCHW.device, dtype=images_BCHW.dtype) + 0.5) / samples
        row, column = torch.meshgrid(position - 0.5, position - 0.5, indexing="ij")
        square_N2 = torch.stack([column, row], dim=-1).flatten(0, 1)
        place_BN2 = to_picture(square_N2, points_BP2.to(images_BCHW.dtype), template_P2.to(images_BCHW))
        sampled_BCN = _bilinear(images_BCHW, place_BN2)
        return F.avg_pool2d(sampled_BCN.unflatten(2, (size * samples, size * samples)), samples)


def to_picture(square_N2: Tensor, points_BP2: Tensor, template_P2: Tensor) -> Tensor:
    """Return where places in the square lie in each picture, (B, N, 2).

    The similarity takes the picture's points nearest to the template's in least squares (Umeyama 1991, for two
    dimensions and without a reflection): with points p, t as complex numbers about their means, it is
    s = sum(conj(p) t) / sum |p|^2.
    """
    center_B12, aim_12 = points_BP2.mean(dim=1, keepdim=True), template_P2.mean(dim=0, keepdim=True)
    p_BP2, t_P2 = points_BP2 - center_B12, template_P2 - aim_12
    spread_B = p_BP2.square().sum(dim=(1, 2))
    cosine_B = (p_BP2 * t_P2).sum(dim=(1, 2))
    sine_B = (p_BP2[..., 0] * t_P2[:, 1] - p_BP2[..., 1] * t_P2[:, 0]).sum(dim=1)
    flat_B = cosine_B.square() + sine_B.square() < _SMALLEST_SPREAD
    # the inverse of s = (cosine + i sine) / spread is spread (cosine - i sine) / (cosine^2 + sine^2)
    factor_B = spread_B / (cosine_B.square() + sine_B.square()).clamp(min=_SMALLEST_SPREAD)
    real_B1 = torch.where(flat_B, torch.ones_like(spread_B), cosine_B * factor_B)[:, None]
    imaginary_B1 = torch.where(flat_B, torch.zeros_like(spread_B), -sine_B * factor_B)[:, None]
    x_N, y_N = (square_N2 - aim_12).unbind(-1)
    turned_BN2 = torch.stack([real_B1 * x_N - imaginary_B1 * y_N, imaginary_B1 * x_N + real_B1 * y_N], dim=-1)
    return turned_BN2 + center_B12


def _bilinear(images_BCHW: Tensor, place_BN2: Tensor) -> Tensor:
    """Return the pictures at places x y between pixel centres, (B, C, N)."""
    channels, height, width = images_BCHW.shape[1:]
    x_BN = place_BN2[..., 0].clamp(0, width - 1)
    y_BN = place_BN2[..., 1].clamp(0, height - 1)
    left_BN, top_BN = x_BN.floor(), y_BN.floor()
    flat = images_BCHW.flatten(2)
    total = torch.zeros((), device=images_BCHW.device, dtype=images_BCHW.dtype)
    for down in (0, 1):
        for right in (0, 1):
            column_BN = (left_BN + right).clamp(max=width - 1)
            row_BN = (top_BN + down).clamp(max=height - 1)
            weight_BN = (1 - (x_BN - left_BN - right).abs()) * (1 - (y_BN - top_BN - down).abs())
            index_BN = (row_BN * width + column_BN).long()
            total = total + weight_BN[:, None] * flat.gather(2, index_BN[:, None].expand(-1, channels, -1))
    return total
