"""Degradations of published work by name: `{type: Preset, name: gfpgan}`.

Ranges: blur (window, deviation), factor of downsampling,
deviation of the noise in grey levels, JPEG quality, then back to size bilinearly. "known" says how they are known.

  gfpgan              second hand (GFPGAN's paper and option files)
  codeformer          second hand ("CodeFormer-like", as FaceMe reports it)
  refldm_train, ffhq_ref_moderate, ffhq_ref_severe    read in the authors' own code (ReF-LDM)
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from dmdnet.degradations.pipeline import Draws, apply_in_order, build_degradation, draw_degradation
from dmdnet.registry import DEGRADATIONS, Component

PresetName = Literal["gfpgan", "codeformer", "refldm_train", "ffhq_ref_moderate", "ffhq_ref_severe"]


def _blur_down_noise_jpeg(
    sigma: tuple[float, float], scale: tuple[float, float], noise: tuple[float, float], quality: tuple[int, int]
) -> tuple[dict[str, Any], ...]:
    return (
        {"type": "GaussianBlur", "sigma": sigma, "kernel_size": 41, "isotropic_prob": 0.5},
        {"type": "Downsample", "scale": scale, "modes": ("bilinear",)},
        {"type": "GaussianNoise", "sigma": noise},
        {"type": "JPEGCompression", "quality": quality},
        {"type": "ResizeBack", "mode": "bilinear"},
    )


PRESETS: dict[str, tuple[dict[str, Any], ...]] = {
    "gfpgan": _blur_down_noise_jpeg((0.1, 10.0), (0.8, 8.0), (0.0, 20.0), (60, 100)),
    "codeformer": _blur_down_noise_jpeg((0.2, 10.0), (1.0, 16.0), (0.0, 15.0), (30, 100)),
    "refldm_train": _blur_down_noise_jpeg((0.0, 16.0), (1.0, 32.0), (0.0, 20.0), (30, 100)),
    "ffhq_ref_moderate": _blur_down_noise_jpeg((0.0, 8.0), (1.0, 8.0), (0.0, 15.0), (60, 100)),
    "ffhq_ref_severe": _blur_down_noise_jpeg((8.0, 16.0), (8.0, 32.0), (0.0, 20.0), (30, 100)),
}


@DEGRADATIONS.register()
class Preset:
    """All operations of the preset `name`, in order."""

    def __init__(self, *, name: PresetName) -> None:
        self.name = name
        self.ops = build_degradation(_components(name))

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Draws:
        """Return the draws of the operations."""
        return draw_degradation(self.ops, rng, size)

    def apply(self, image: np.ndarray, params: Draws) -> np.ndarray:
        """Return the picture after all operations."""
        return apply_in_order(image, self.ops, params)


def _components(name: str) -> list[Component]:
    return [
        DEGRADATIONS.component(op["type"], **{key: value for key, value in op.items() if key != "type"})
        for op in PRESETS[name]
    ]
