"""Blur kernels as numbers: every family's formula, and the draws that hold their parameters.

A kernel is float32 (k, k) with k odd, sums to 1 and is at most `kernel_size` on a side; where its weights have become
negligible it is cut shorter. Rows are y, columns are x; all kernels are symmetric about their centre.
`kernel_of(draw)` gives the kernel of any blur's draw, for one picture as for a batch.

Sources: generalised Gaussian and plateau: Liu et al., "Estimating generalized Gaussian blur kernels for out-of-focus
image deblurring" (IEEE TCSVT 2020); sinc: the circular low-pass of Real-ESRGAN (Wang et al. 2021, section 3.3).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# below this the neighbours' weights sum to under 2e-5: less than a hundredth of a grey level
SMALLEST_SIGMA = 0.2
# a kernel that is thinner than this along one axis is given this deviation along it: GFPGAN's smallest
THINNEST_SIGMA = 0.1
# far more blurs no more: the kernel is a box of its window
LARGEST_SIGMA = 1000.0
# weight of the farthest tap relative to the middle, below which a tap is left out
NEGLIGIBLE_WEIGHT = 1e-5
LARGEST_KERNEL = 41
# points per pixel of a motion's path
PATH_POINTS = 16


class KernelDraw(Hashable, Protocol):
    """The drawn parameters of one blur."""

    def kernel(self) -> np.ndarray:
        """Return the normalised kernel, float32 (k, k)."""


def kernel_of(params: KernelDraw) -> np.ndarray:
    """Return the normalised kernel of a blur's draw, float32 (k, k), k odd."""
    return params.kernel()


@dataclass(frozen=True)
class BlurDraw:
    """A Gaussian: deviations in pixels along the axes of the kernel, turned by `angle` (radians)."""

    kernel_size: int
    sigma_x: float
    sigma_y: float
    angle: float

    def kernel(self) -> np.ndarray:
        """Return exp(-q / 2); a round one is the product of its rows, as it is applied."""
        if self.sigma_x == self.sigma_y:
            row = gaussian_row(self.kernel_size, self.sigma_x)
            return np.outer(row, row)
        return gaussian_kernel(self)


@dataclass(frozen=True)
class ProfileDraw(ABC):
    """An ellipse as BlurDraw's, and the shape `beta` of the profile."""

    kernel_size: int
    sigma_x: float
    sigma_y: float
    angle: float
    beta: float

    @abstractmethod
    def kernel(self) -> np.ndarray:
        """Return the normalised kernel, float32 (k, k)."""

    def _squared_distance(self) -> np.ndarray:
        return squared_distance(self.kernel_size, self.sigma_x, self.sigma_y, self.angle)


@dataclass(frozen=True)
class GeneralizedDraw(ProfileDraw):
    """A generalised Gaussian: below 1, `beta` gives a sharper peak and longer tails than 1 does; above 1, flatter."""

    def kernel(self) -> np.ndarray:
        """Return exp(-q^beta / 2)."""
        return normalised(np.exp(-0.5 * self._squared_distance() ** self.beta))


@dataclass(frozen=True)
class PlateauDraw(ProfileDraw):
    """A plateau: nearly constant inside the ellipse of the deviations, falling as a power of the distance outside."""

    def kernel(self) -> np.ndarray:
        """Return 1 / (1 + q^beta)."""
        return normalised(1.0 / (1.0 + self._squared_distance() ** self.beta))


@dataclass(frozen=True)
class MotionDraw:
    """A straight, even movement of `length` pixels at `angle` (radians, from x towards y) during the exposure."""

    length: float
    angle: float

    def kernel(self) -> np.ndarray:
        """Return the line's share in each pixel, spread bilinearly over the four pixels next to each of its points."""
        dx, dy = self.length * math.cos(self.angle), self.length * math.sin(self.angle)
        half = max(1, math.ceil(max(abs(dx), abs(dy)) / 2 - 1e-9))
        count = max(1, math.ceil(PATH_POINTS * self.length))
        steps = (np.arange(count) + 0.5) / count - 0.5
        taps = np.arange(-half, half + 1)
        near_x = np.maximum(0.0, 1.0 - np.abs(taps - dx * steps[:, None]))
        near_y = np.maximum(0.0, 1.0 - np.abs(taps - dy * steps[:, None]))
        return normalised(near_y.T @ near_x)


@dataclass(frozen=True)
class SincDraw:
    """The circular low-pass filter that keeps frequencies below `cutoff` (radians per pixel, up to pi)."""

    kernel_size: int
    cutoff: float

    def kernel(self) -> np.ndarray:
        """Return cutoff J1(cutoff r) / (2 pi r), cut to the window: it overshoots and rings, as it is meant to."""
        taps = np.arange(self.kernel_size) - self.kernel_size // 2
        squares = taps**2 + (taps**2)[:, None]
        distinct, places = np.unique(squares, return_inverse=True)
        radii = np.sqrt(distinct[1:])
        values = self.cutoff * bessel_j1(self.cutoff * radii) / (2 * np.pi * radii)
        middle = self.cutoff**2 / (4 * np.pi)
        return normalised(np.concatenate([[middle], values])[places.reshape(squares.shape)])


def gaussian_row(kernel_size: int, sigma: float) -> np.ndarray:
    """Return a normalised 1-D Gaussian of at most `kernel_size` taps, without its negligible ends, float32.

    A deviation of less than THINNEST_SIGMA is taken as THINNEST_SIGMA.
    """
    sigma = max(sigma, THINNEST_SIGMA)
    half = min(kernel_size // 2, _support(sigma))
    taps = np.arange(-half, half + 1)
    row = np.exp(-0.5 * (taps / sigma) ** 2)
    return (row / row.sum()).astype(np.float32)


def gaussian_kernel(params: BlurDraw) -> np.ndarray:
    """Return the normalised 2-D kernel exp(-x^T C^-1 x / 2), C = R diag(sigma^2) R^T, float32 (k, k).

    A deviation of less than THINNEST_SIGMA along one axis is taken as THINNEST_SIGMA.
    """
    half = min(params.kernel_size // 2, _support(max(params.sigma_x, params.sigma_y)))
    q = squared_distance(2 * half + 1, params.sigma_x, params.sigma_y, params.angle)
    return normalised(np.exp(-0.5 * q))


def squared_distance(kernel_size: int, sigma_x: float, sigma_y: float, angle: float) -> np.ndarray:
    """Return q = x^T C^-1 x of every tap, C = R diag(sigma^2) R^T, float64 (k, k).

    A deviation of less than THINNEST_SIGMA along one axis is taken as THINNEST_SIGMA.
    """
    sigma_x, sigma_y = max(sigma_x, THINNEST_SIGMA), max(sigma_y, THINNEST_SIGMA)
    taps = np.arange(kernel_size, dtype=np.float64) - kernel_size // 2
    cosine, sine = math.cos(angle), math.sin(angle)
    u = cosine * taps + sine * taps[:, None]
    v = cosine * taps[:, None] - sine * taps
    return (u / sigma_x) ** 2 + (v / sigma_y) ** 2


def normalised(kernel: np.ndarray) -> np.ndarray:
    """Return the kernel without its negligible outer rings, divided by its sum, float32."""
    middle = len(kernel) // 2
    seen = np.nonzero(np.abs(kernel) > NEGLIGIBLE_WEIGHT * kernel[middle, middle])
    half = max(1, *(int(np.abs(places - middle).max()) for places in seen))
    kernel = kernel[middle - half : middle + half + 1, middle - half : middle + half + 1]
    return (kernel / kernel.sum()).astype(np.float32)


def bessel_j1(x: np.ndarray) -> np.ndarray:
    """Return the Bessel function of the first kind of order one, to 1e-12, for `x` (N,), N > 0.

    J1(x) = (1 / pi) * integral over 0..pi of cos(t - x sin t). The trapezoidal rule is exact on it but for the Bessel
    functions of the orders 2 count - 1 and more, which vanish faster than exponentially above |x|.
    """
    count = 16 + math.ceil(0.75 * float(np.abs(x).max()))
    t = np.linspace(0.0, np.pi, count + 1)
    values = np.cos(t - x[:, None] * np.sin(t))
    values[:, [0, -1]] *= 0.5
    integral: np.ndarray = values.sum(axis=1) / count
    return integral


def _support(sigma: float) -> int:
    """Return the distance in pixels at which a Gaussian's weight has become negligible."""
    return max(1, math.ceil(sigma * math.sqrt(-2 * math.log(NEGLIGIBLE_WEIGHT))))
