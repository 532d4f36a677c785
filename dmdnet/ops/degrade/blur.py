"""Filter each picture of a batch with its own kernel, by Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dmdnet.ops.degrade.borders import mirrored, read_at
from dmdnet.ops.degrade.to_device import to_device

# pictures that are transformed at once: at 512 x 512 each takes 15 MB
_CHUNK = 64


def blur(pixels_BCHW: Tensor, sizes_B: Sequence[tuple[int, int]], kernels_B: Sequence[np.ndarray]) -> Tensor:
    """Return every picture correlated with its kernel, float32 (k, k) with k odd; the result is not rounded.

    The borders are mirrored without repeating a pixel. Time and memory do not depend on the kernels' sizes but for
    the border; the error of the transforms is below 1e-3 of a grey level.
    """
    chunks = [
        _blur_chunk(pixels_BCHW[i : i + _CHUNK], sizes_B[i : i + _CHUNK], kernels_B[i : i + _CHUNK])
        for i in range(0, len(kernels_B), _CHUNK)
    ]
    return chunks[0] if len(chunks) == 1 else torch.cat(chunks)


def _blur_chunk(pixels_BCHW: Tensor, sizes_B: Sequence[tuple[int, int]], kernels_B: Sequence[np.ndarray]) -> Tensor:
    height, width = pixels_BCHW.shape[2:]
    half = max(len(kernel) for kernel in kernels_B) // 2
    # a picture with its border fits: what a transform wraps around falls on places that are not read
    grid = (_quick_length(height + 2 * half), _quick_length(width + 2 * half))
    rows_BI = mirrored([size[0] for size in sizes_B], -half, grid[0] - half)
    columns_BJ = mirrored([size[1] for size in sizes_B], -half, grid[1] - half)
    spectrum = torch.fft.rfft2(read_at(pixels_BCHW, rows_BI, columns_BJ))
    kernels_BKK = to_device(_on_one_grid(kernels_B, 2 * half + 1), pixels_BCHW.device)
    spectrum *= torch.fft.rfft2(kernels_BKK, s=grid).conj()[:, None]
    return torch.fft.irfft2(spectrum, s=grid)[..., :height, :width]


def _on_one_grid(kernels_B: Sequence[np.ndarray], side: int) -> np.ndarray:
    """Return the kernels about one middle, zeros around the smaller ones: float32 (B, side, side)."""
    grid = np.zeros((len(kernels_B), side, side), np.float32)
    for row, kernel in zip(grid, kernels_B, strict=True):
        margin = (side - len(kernel)) // 2
        row[margin : side - margin, margin : side - margin] = kernel
    return grid


def _quick_length(least: int) -> int:
    """Return the smallest even number of at least `least` without a prime factor above 5."""
    length = least + least % 2
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 2
