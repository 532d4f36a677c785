"""What JPEG compression does to a picture: libjpeg's arithmetic without the entropy coding, which loses nothing.

ITU-T T.81 with libjpeg's defaults, which OpenCV takes: JFIF colours, 4:2:0 by averages of 2 x 2, the tables of annex K
scaled by the quality, the transform of Loeffler, Ligtenberg and Moschytz (ICASSP 1989) with 13-bit factors, chroma
doubled by a triangle filter ("fancy upsampling"). libjpeg computes in integers and rounds at fixed places; here every
integer is a float32 and every rounding is at its place. A sum outgrows float32's 24 bits only in the second pass of
a transform, and is then rounded wrongly once in some thousand cases, by one: the pictures are the same but for one
value in ten thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dmdnet.ops.degrade.borders import read_at, repeated
from dmdnet.ops.degrade.jpeg_tables import COSINE_BITS, COSINES, FROM_RGB, TO_RGB, WEIGHT_BITS, quantisation_tables
from dmdnet.ops.degrade.to_device import to_device
from dmdnet.ops.precision import full_float32_products

BLOCK = 8
_MCU = 16  # at 4:2:0 a block of chroma is 16 pixels wide
# libjpeg carries two more bits between the passes, and multiplies coefficients by 8
_PASS_BITS = 2
# a nudge away from zero, larger than float32's roundings and smaller than any distance to a half
_HALVES_AWAY = 1 + 1e-6
_SMALLEST_SMOOTHED = 3  # libjpeg doubles chroma of fewer columns without the filter


def jpeg(pixels_BCHW: Tensor, sizes_B: Sequence[tuple[int, int]], qualities_B: Sequence[int]) -> Tensor:
    """Return the pictures, rounded, after JPEG compression with their qualities (1..100): whole numbers 0..255.

    The mean difference to what OpenCV writes and reads is below 0.01 grey levels, whatever picture and quality.
    """
    height, width = pixels_BCHW.shape[2:]
    rows = repeated([size[0] for size in sizes_B], 0, _whole_mcus(height))
    columns = repeated([size[1] for size in sizes_B], 0, _whole_mcus(width))
    levels_BCHW = read_at(pixels_BCHW, rows, columns).round_().clamp_(0, 255)
    with full_float32_products(pixels_BCHW.device):
        planes_BCHW = _colors(levels_BCHW, _from_rgb(pixels_BCHW.device)).floor_()
        luma_B1HW, chroma_BCHW = _coded([planes_BCHW[:, :1], _halved(planes_BCHW[:, 1:], sizes_B)], qualities_B)
        planes_BCHW = torch.cat([luma_B1HW, _doubled(chroma_BCHW, sizes_B)], dim=1)[..., :height, :width]
        return _colors(planes_BCHW, _to_rgb(pixels_BCHW.device)).floor_().clamp_(0, 255)


def _coded(planes: list[Tensor], qualities_B: Sequence[int]) -> list[Tensor]:
    """Return planes (B, C, H, W) about 0, luma and chroma, after transform, quantisation and the way back.

    Both go together through all steps, as rows of eight values; along a row, then along what was a column.
    """
    batch, device = len(qualities_B), planes[0].device
    values = [plane[0].numel() for plane in planes]
    forward_1, forward_2, inverse_1, inverse_2 = _passes(device)
    rows_BN8 = torch.cat([plane.reshape(batch, -1, BLOCK) for plane in planes], dim=1)
    rows_BN8 = _pass(rows_BN8, forward_1)
    columns_BN8 = _pass(_turned_blocks(rows_BN8, planes, values), forward_2)
    columns_BN8 = _quantised(columns_BN8, qualities_B, values)
    columns_BN8 = _pass(columns_BN8, inverse_1)
    rows_BN8 = _pass(_turned_back(columns_BN8, planes, values), inverse_2)
    decoded = rows_BN8.clamp_(-128, 127).view(batch, -1).split(values, dim=1)
    return [flat.view_as(plane) for flat, plane in zip(decoded, planes, strict=True)]


def _pass(vectors_BN8: Tensor, matrix_88: Tensor) -> Tensor:
    """Return the vectors times a matrix, rounded to whole numbers, halves up."""
    half = _half(vectors_BN8.device)
    return torch.addmm(half, vectors_BN8.view(-1, BLOCK), matrix_88).floor_().view_as(vectors_BN8)


def _turned_blocks(rows_BN8: Tensor, planes: list[Tensor], values: list[int]) -> Tensor:
    """Return the columns of all blocks as vectors, 8 of a block together: the rows of the planes turned."""
    turned = torch.empty_like(rows_BN8)
    parts = zip(rows_BN8.flatten(1).split(values, 1), turned.flatten(1).split(values, 1), planes, strict=True)
    for source, target, plane in parts:
        blocks = _as_blocks(source, plane)  # (B, C, down, row, along, column)
        target.view(_block_shape(plane)).copy_(blocks.permute(0, 1, 2, 4, 5, 3))
    return turned


def _turned_back(columns_BN8: Tensor, planes: list[Tensor], values: list[int]) -> Tensor:
    """Return the rows of the planes from the columns of all blocks."""
    rows = torch.empty_like(columns_BN8)
    parts = zip(columns_BN8.flatten(1).split(values, 1), rows.flatten(1).split(values, 1), planes, strict=True)
    for source, target, plane in parts:
        blocks = source.view(_block_shape(plane))  # (B, C, down, along, column, row)
        _as_blocks(target, plane).copy_(blocks.permute(0, 1, 2, 5, 3, 4))
    return rows


def _as_blocks(flat: Tensor, plane: Tensor) -> Tensor:
    batch, channels, height, width = plane.shape
    return flat.view(batch, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK)


def _block_shape(plane: Tensor) -> tuple[int, ...]:
    batch, channels, height, width = plane.shape
    return batch, channels, height // BLOCK, width // BLOCK, BLOCK, BLOCK


def _quantised(columns_BN8: Tensor, qualities_B: Sequence[int], values: list[int]) -> Tensor:
    """Return coefficients (times 8, turned blocks) as whole multiples of their steps, no longer times 8."""
    device = columns_BN8.device
    steps = np.stack([quantisation_tables(quality).swapaxes(1, 2) for quality in qualities_B])
    steps_B2P = steps.reshape(len(steps), 2, -1).astype(np.float32)
    of_block = to_device(np.repeat(np.arange(2), [count // BLOCK**2 for count in values]), device)
    steps_BNP = to_device(steps_B2P, device).index_select(1, of_block)
    inverse_BNP = to_device(np.float32(_HALVES_AWAY / 8) / steps_B2P, device).index_select(1, of_block)
    return (columns_BN8.view_as(steps_BNP) * inverse_BNP).round_().mul_(steps_BNP).view_as(columns_BN8)


def _colors(pixels_BCHW: Tensor, weights_and_offsets: tuple[Tensor, Tensor]) -> Tensor:
    weights_CC, offsets_C1 = weights_and_offsets
    flat_BCP = pixels_BCHW.flatten(2)
    return torch.baddbmm(offsets_C1, weights_CC.expand(len(flat_BCP), -1, -1), flat_BCP).view_as(pixels_BCHW)


def _halved(chroma_BCHW: Tensor, sizes_B: Sequence[tuple[int, int]]) -> Tensor:
    """Return averages of 2 x 2, halves and quarters rounded down and up by turns along a row.

    Below a picture its last row goes on, not what averages of its repeated last row would be.
    """
    height, width = (side // 2 for side in chroma_BCHW.shape[2:])
    bias_W = (np.arange(width) % 2 + 1) / 4
    halved_BCHW = F.avg_pool2d(chroma_BCHW, 2).add_(_row(bias_W, chroma_BCHW.device)).floor_()
    return read_at(halved_BCHW, repeated(_halves(sizes_B, 0), 0, height), repeated([width], 0, width))


def _halves(sizes_B: Sequence[tuple[int, int]], axis: int) -> list[int]:
    return [(size[axis] + 1) // 2 for size in sizes_B]


def _doubled(chroma_BCHW: Tensor, sizes_B: Sequence[tuple[int, int]]) -> Tensor:
    """Return chroma at twice the size: 3/4 of the nearer and 1/4 of the farther pixel on each axis.

    At its edges a picture's last pixel goes on, not what the padded blocks hold.
    """
    heights, widths = _halves(sizes_B, 0), _halves(sizes_B, 1)
    rows, columns = (repeated(heights, 0, chroma_BCHW.shape[2]), repeated(widths, 0, chroma_BCHW.shape[3]))
    chroma_BCHW = read_at(chroma_BCHW, rows, columns)
    # of sixteenths, 8 are added at even columns and 7 at odd ones
    bias_W = (8 - np.arange(2 * chroma_BCHW.shape[3]) % 2) / 16
    smooth = F.interpolate(chroma_BCHW, scale_factor=2, mode="bilinear", align_corners=False)
    smooth.add_(_row(bias_W, smooth.device)).floor_()
    if min(widths) >= _SMALLEST_SMOOTHED:
        return smooth
    is_smooth_B111 = np.array(widths).reshape(-1, 1, 1, 1) >= _SMALLEST_SMOOTHED
    return torch.where(to_device(is_smooth_B111, smooth.device), smooth, F.interpolate(chroma_BCHW, scale_factor=2))


def _whole_mcus(length: int) -> int:
    return -(-length // _MCU) * _MCU


def _row(values: np.ndarray, device: torch.device) -> Tensor:
    return to_device(values.astype(np.float32), device)


@cache
def _half(device: torch.device) -> Tensor:
    return to_device(np.array([0.5], np.float32), device)


@cache
def _passes(device: torch.device) -> tuple[Tensor, ...]:
    """Return the matrices (8, 8) of both passes of the transform and of its inverse."""
    bits = (COSINE_BITS - _PASS_BITS, COSINE_BITS + _PASS_BITS, COSINE_BITS - _PASS_BITS, COSINE_BITS + _PASS_BITS + 3)
    cosines = np.array(COSINES)
    matrices = (cosines.T, cosines.T, cosines, cosines)
    return tuple(_row(matrix * 2.0**-shift, device) for matrix, shift in zip(matrices, bits, strict=True))


@cache
def _from_rgb(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return weights and offsets to luma less 128 and the colour differences, to be rounded down."""
    unit = 2.0**-WEIGHT_BITS
    # libjpeg rounds halves of luma up, of the differences down
    offsets = np.array([[0.5 - 128], [0.5 - unit], [0.5 - unit]], np.float32)
    return to_device((np.array(FROM_RGB) * unit).astype(np.float32), device), to_device(offsets, device)


@cache
def _to_rgb(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return weights and offsets from luma less 128 and the colour differences, to be rounded down."""
    offsets = np.full((3, 1), 128.5, np.float32)
    return to_device((np.array(TO_RGB) * 2.0**-WEIGHT_BITS).astype(np.float32), device), to_device(offsets, device)
