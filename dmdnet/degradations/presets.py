"""Degradations of published work by name: `{type: Preset, name: gfpgan}`; `preset_table.py` has their numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dmdnet.degradations.canvas import Canvas
from dmdnet.degradations.pipeline import (
    Draws,
    apply_in_order,
    apply_ops_to_canvas,
    build_degradation,
    draw_degradation,
)
from dmdnet.degradations.preset_table import PRESETS, PresetName
from dmdnet.registry import DEGRADATIONS, Component

__all__ = ["PRESETS", "Preset"]


@DEGRADATIONS.register()
class Preset:
    """All operations of the preset `name`, in order; the picture comes back to its first size.

    gfpgan, codeformer, dfdnet, redegnet, realesrgan, refldm_train, ffhq_ref_moderate and ffhq_ref_severe are published
    degradations; x4, x8 and x16 differ in the factor alone, for curves over severity. In Real-ESRGAN's training the
    target is sharpened (USM) as well, which is no degradation and is not done here.
    """

    def __init__(self, *, name: PresetName) -> None:
        self.name = name
        self.ops = build_degradation(_components(name))

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Draws:
        """Return the draws of the operations."""
        return draw_degradation(self.ops, rng, size)

    def apply(self, image: np.ndarray, params: Draws) -> np.ndarray:
        """Return the picture after all operations."""
        return apply_in_order(image, self.ops, params)

    def apply_batch(self, canvas: Canvas, params_B: Sequence[Draws]) -> Canvas:
        """Return the canvas after all operations."""
        return apply_ops_to_canvas(self.ops, canvas, params_B)


def _components(name: str) -> list[Component]:
    return [
        DEGRADATIONS.component(op["type"], **{key: value for key, value in op.items() if key != "type"})
        for op in PRESETS[name]
    ]
