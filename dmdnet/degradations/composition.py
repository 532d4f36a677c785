"""Operations made of operations: one of several, all in a drawn order, a list several times."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from dmdnet.degradations.base import Occasional, Probability
from dmdnet.degradations.canvas import Canvas
from dmdnet.degradations.choices import Weight, pick, thresholds
from dmdnet.degradations.pipeline import (
    Draws,
    apply_in_order,
    apply_ops_to_canvas,
    apply_to_canvas,
    build_degradation,
    draw_degradation,
)
from dmdnet.errors import ConfigError
from dmdnet.registry import DEGRADATIONS, Component

Ops = Annotated[tuple[Annotated[Component, DEGRADATIONS], ...], Field(min_length=1)]
Count = Annotated[int, Field(ge=0, le=16)]


@dataclass(frozen=True)
class OneOfDraw:
    """Which operation, and its draw."""

    index: int
    params: Hashable


@dataclass(frozen=True)
class ShuffleDraw:
    """The draws of all operations in the order of the options, and the order in which they are applied."""

    order: tuple[int, ...]
    draws: Draws


@DEGRADATIONS.register()
class OneOf(Occasional[OneOfDraw]):
    """Apply one of `ops`, chosen with `weights` (equal ones when left out)."""

    def __init__(self, *, ops: Ops, weights: tuple[Weight, ...] | None = None, prob: Probability = 1.0) -> None:
        super().__init__(prob)
        self.ops = build_degradation(ops)
        self.thresholds = thresholds("OneOf", weights, len(ops))

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> OneOfDraw | None:
        """Return the choice and its draw, None when the chosen operation does nothing."""
        index = pick(self.thresholds, rng)
        params = self.ops[index].draw(rng, size)
        return None if params is None else OneOfDraw(index, params)

    def apply(self, image: np.ndarray, params: OneOfDraw) -> np.ndarray:
        """Return the picture after the chosen operation."""
        return self.ops[params.index].apply(image, params.params)

    def apply_batch(self, canvas: Canvas, params_B: Sequence[OneOfDraw]) -> Canvas:
        """Return the canvas after all operations, each of them on the pictures that chose it."""
        for index, op in enumerate(self.ops):
            canvas = apply_to_canvas(op, canvas, [p.params if p.index == index else None for p in params_B])
        return canvas


@DEGRADATIONS.register()
class Shuffle(Occasional[ShuffleDraw]):
    """Apply all `ops`, in an order that is drawn anew each time, all orders equally likely."""

    def __init__(self, *, ops: Ops, prob: Probability = 1.0) -> None:
        super().__init__(prob)
        self.ops = build_degradation(ops)

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> ShuffleDraw:
        """Return the order and the draws."""
        order = tuple(rng.permutation(len(self.ops)).tolist())
        return ShuffleDraw(order, draw_degradation(self.ops, rng, size))

    def apply(self, image: np.ndarray, params: ShuffleDraw) -> np.ndarray:
        """Return the picture after the operations in the drawn order."""
        ops = [self.ops[index] for index in params.order]
        return apply_in_order(image, ops, tuple(params.draws[index] for index in params.order))

    def apply_batch(self, canvas: Canvas, params_B: Sequence[ShuffleDraw]) -> Canvas:
        """Return the canvas after all operations in all places, each of them on the pictures whose turn it is."""
        for place in range(len(self.ops)):
            for index, op in enumerate(self.ops):
                turn_B = [p.draws[index] if p.order[place] == index else None for p in params_B]
                canvas = apply_to_canvas(op, canvas, turn_B)
        return canvas


@DEGRADATIONS.register()
class Sequential(Occasional[tuple[Draws, ...]]):
    """Apply all `ops` in their order, the whole list `times` times (uniform, both ends included) with new draws.

    `times: [2, 2]` is a second-order degradation.
    """

    def __init__(self, *, ops: Ops, times: tuple[Count, Count] = (1, 1), prob: Probability = 1.0) -> None:
        if times[0] > times[1]:
            raise ConfigError(f"Sequential: times {list(times)} has its smaller number last; turn them round")
        super().__init__(prob)
        self.ops = build_degradation(ops)
        self.times = times

    def draw_params(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Draws, ...] | None:
        """Return the draws of each round, None when there is none."""
        low, high = self.times
        rounds = low if low == high else int(rng.integers(low, high + 1))
        return tuple(draw_degradation(self.ops, rng, size) for _ in range(rounds)) or None

    def apply(self, image: np.ndarray, params: tuple[Draws, ...]) -> np.ndarray:
        """Return the picture after all rounds."""
        for draws in params:
            image = apply_in_order(image, self.ops, draws)
        return image

    def apply_batch(self, canvas: Canvas, params_B: Sequence[tuple[Draws, ...]]) -> Canvas:
        """Return the canvas after all rounds; pictures with fewer of them wait."""
        nothing = (None,) * len(self.ops)
        for turn in range(max(len(draws) for draws in params_B)):
            draws_B = [draws[turn] if turn < len(draws) else nothing for draws in params_B]
            canvas = apply_ops_to_canvas(self.ops, canvas, draws_B)
        return canvas
