"""The operations of every preset, with how its numbers are known.

A: read in the authors' own code; 3: second hand (papers, option files); D: chosen here, for the reason given.
All pictures come back to the size at the start. Qualities of JPEG are whole numbers, both ends included; authors cut
a real number down, so that the upper end alone (100 or 95) hardly ever came up with them.
"""

from __future__ import annotations

import math
from typing import Any, Literal

PresetName = Literal[
    "gfpgan",
    "codeformer",
    "dfdnet",
    "redegnet",
    "realesrgan",
    "refldm_train",
    "ffhq_ref_moderate",
    "ffhq_ref_severe",
    "x4",
    "x8",
    "x16",
]
Ops = tuple[dict[str, Any], ...]

KNOWN: dict[str, str] = {
    "gfpgan": "3: GFPGAN's paper and option files; without its second jitter, of brightness to hue",
    "codeformer": "3: as FaceMe reports it",
    "dfdnet": "A: DFDNet; the length of its motion D",
    "redegnet": "A: ReDegNet; round, elongated or both blurs equally often D",
    "realesrgan": "3: Real-ESRGAN's paper and option files; way back from a quarter of the size D",
    "refldm_train": "A: ReF-LDM",
    "ffhq_ref_moderate": "A: ReF-LDM",
    "ffhq_ref_severe": "A: ReF-LDM",
    "x4": "D",
    "x8": "D",
    "x16": "D",
}


def _blur_down_noise_jpeg(
    sigma: tuple[float, float], scale: tuple[float, float], noise: tuple[float, float], quality: tuple[int, int]
) -> Ops:
    """Return the usual order for faces: a window of 41, half of the kernels round, all resizing bilinear."""
    return (
        {"type": "GaussianBlur", "sigma": sigma, "kernel_size": 41, "isotropic_prob": 0.5},
        {"type": "Downsample", "scale": scale, "modes": ("bilinear",)},
        {"type": "GaussianNoise", "sigma": noise},
        {"type": "JPEGCompression", "quality": quality},
        {"type": "ResizeBack", "mode": "bilinear"},
    )


def _fixed_factor(factor: int) -> Ops:
    """Return a test of one factor for a curve over severity [D].

    The blur grows with the factor, as out of focus does (a quarter to half of it); noise and JPEG are the small
    picture's and stay alike, so that the factor alone makes the difference.
    """
    return (
        {"type": "GaussianBlur", "sigma": (factor / 4, factor / 2), "kernel_size": 41, "isotropic_prob": 1.0},
        {"type": "Downsample", "scale": (float(factor), float(factor)), "modes": ("area",)},
        {"type": "GaussianNoise", "sigma": (2.0, 8.0)},
        {"type": "JPEGCompression", "quality": (60, 90)},
        {"type": "ResizeBack", "mode": "bicubic"},
    )


_DFDNET: Ops = (
    {
        "type": "OneOf",
        "ops": (
            {"type": "GaussianBlur", "sigma": (0.3, 2.0), "kernel_size": (3, 35), "isotropic_prob": 1.0},
            {"type": "MotionBlur", "length": (3.0, 35.0)},  # length D: windows as large as the Gaussian's
        ),
        "weights": (0.65, 0.35),
        "prob": 0.9,
    },
    {"type": "Downsample", "scale": (2.0, 10.0), "modes": ("bicubic",), "prob": 0.95},
    {"type": "GaussianNoise", "sigma": (1.0, 10.0), "prob": 0.9},
    {"type": "JPEGCompression", "quality": (40, 80), "prob": 0.6},
    {"type": "ResizeBack", "mode": "bicubic"},
)

_ROUND = {"type": "GaussianBlur", "sigma": (0.1, 2.8), "kernel_size": (5, 17), "isotropic_prob": 1.0}
_LONG = {"type": "GaussianBlur", "sigma": (0.5, 8.0), "kernel_size": (5, 17), "isotropic_prob": 0.0}
_REDEGNET: Ops = (
    {
        "type": "Shuffle",
        "ops": (
            {"type": "OneOf", "ops": (_ROUND, _LONG, {"type": "Sequential", "ops": (_ROUND, _LONG)})},
            {
                "type": "Downsample",
                "scale": (2.0, 6.0),
                "modes": ("nearest", "bilinear", "bicubic"),
                "weights": (0.1, 0.4, 0.5),
            },
            {"type": "GaussianNoise", "sigma": (1.0, 19.0), "prob": 0.7},
            {"type": "JPEGCompression", "quality": (30, 85), "prob": 0.7},
        ),
    },
    {"type": "JPEGCompression", "quality": (30, 85), "prob": 0.5},
    {"type": "ResizeBack", "mode": "bicubic"},
)

_SINC: dict[str, Any] = {
    "type": "OneOf",
    "ops": (
        {"type": "SincBlur", "kernel_size": (7, 11), "cutoff": (math.pi / 3, math.pi)},
        {"type": "SincBlur", "kernel_size": (13, 21), "cutoff": (math.pi / 5, math.pi)},
    ),
    "weights": (3.0, 5.0),  # all eight sizes equally often
}


def _any_blur(sigma: tuple[float, float], prob: float) -> dict[str, Any]:
    """Return Real-ESRGAN's mixture of kernels: a tenth sinc, the rest Gaussian, generalised or plateau."""
    window = {"sigma": sigma, "kernel_size": (7, 21)}
    profiles: tuple[tuple[float, float, dict[str, Any]], ...] = (
        (0.45, 0.25, {"type": "GaussianBlur"}),
        (0.12, 0.03, {"type": "GeneralizedGaussianBlur", "beta": (0.5, 4.0)}),
        (0.12, 0.03, {"type": "PlateauBlur", "beta": (1.0, 2.0)}),
    )
    ops = tuple({**op, **window, "isotropic_prob": iso / (iso + aniso)} for iso, aniso, op in profiles)
    weights = tuple(0.9 * (iso + aniso) for iso, aniso, _ in profiles)
    return {"type": "OneOf", "ops": (_SINC, *ops), "weights": (0.1, *weights), "prob": prob}


def _any_noise(sigma: tuple[float, float], scale: tuple[float, float]) -> dict[str, Any]:
    gaussian = {"type": "GaussianNoise", "sigma": sigma, "grey_prob": 0.4}
    return {"type": "OneOf", "ops": (gaussian, {"type": "PoissonNoise", "scale": scale, "grey_prob": 0.4})}


_TO_QUARTER: dict[str, Any] = {
    "type": "Sequential",
    "ops": (
        {"type": "Downsample", "scale": (4.0, 4.0), "modes": ("area", "bilinear", "bicubic")},
        {"type": "SincBlur", "kernel_size": (7, 21), "cutoff": (math.pi / 3, math.pi), "prob": 0.8},
    ),
}
_LAST_JPEG: dict[str, Any] = {"type": "JPEGCompression", "quality": (30, 95)}
_REALESRGAN: Ops = (
    _any_blur((0.2, 3.0), 1.0),
    {"type": "Resize", "factor": (0.15, 1.5), "up_down_keep": (0.2, 0.7, 0.1)},
    _any_noise((1.0, 30.0), (0.05, 3.0)),
    {"type": "JPEGCompression", "quality": (30, 95)},
    _any_blur((0.2, 1.5), 0.8),
    {"type": "Resize", "factor": (0.3, 1.2), "up_down_keep": (0.3, 0.4, 0.3), "base": 4.0},
    _any_noise((1.0, 25.0), (0.05, 2.5)),
    {"type": "Shuffle", "ops": (_TO_QUARTER, _LAST_JPEG)},  # ringing before or after the last compression
    {"type": "ResizeBack", "mode": "bicubic"},
)

PRESETS: dict[str, Ops] = {
    "gfpgan": (
        *_blur_down_noise_jpeg((0.1, 10.0), (0.8, 8.0), (0.0, 20.0), (60, 100)),
        {"type": "ColorJitter", "shift": 20.0, "prob": 0.3},
        {"type": "Grayscale", "prob": 0.01},
    ),
    "codeformer": _blur_down_noise_jpeg((0.2, 10.0), (1.0, 16.0), (0.0, 15.0), (30, 100)),
    "dfdnet": _DFDNET,
    "redegnet": _REDEGNET,
    "realesrgan": _REALESRGAN,
    "refldm_train": _blur_down_noise_jpeg((0.0, 16.0), (1.0, 32.0), (0.0, 20.0), (30, 100)),
    "ffhq_ref_moderate": _blur_down_noise_jpeg((0.0, 8.0), (1.0, 8.0), (0.0, 15.0), (60, 100)),
    "ffhq_ref_severe": _blur_down_noise_jpeg((8.0, 16.0), (8.0, 32.0), (0.0, 20.0), (30, 100)),
    "x4": _fixed_factor(4),
    "x8": _fixed_factor(8),
    "x16": _fixed_factor(16),
}
