"""How one picture of a drawn person was taken: pose, expression, light, background and clothes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .paint import generator
from .traits import Colour

_STREAM = 2


@dataclass(frozen=True)
class Pose:
    """Angles in radians (yaw > 0 turns the nose to image-right, pitch > 0 lowers it); shifts in units."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    scale: float = 1.0
    dx: float = 0.0
    dy: float = 0.0


@dataclass(frozen=True)
class Expression:
    """0 is neutral: smile -0.3..1, mouth_open 0..1, gaze -1..1 each way, lids 0 closed .. 1 open, brow_raise -1..1."""

    smile: float = 0.0
    mouth_open: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    lid_left: float = 1.0
    lid_right: float = 1.0
    brow_raise: float = 0.0


@dataclass(frozen=True)
class Light:
    """Key light from (azimuth, elevation) in radians, azimuth > 0 from image-right; strengths relative to white."""

    azimuth: float = -0.5
    elevation: float = 0.6
    key: float = 0.85
    ambient: float = 0.45
    colour: Colour = (1.0, 1.0, 1.0)
    ambient_colour: Colour = (1.0, 1.0, 1.0)
    hardness: float = 0.5
    rim: float = 0.0


@dataclass(frozen=True)
class Background:
    kind: str = "gradient"  # gradient, bokeh, wall, window
    first: Colour = (0.6, 0.65, 0.7)
    second: Colour = (0.4, 0.42, 0.5)
    seed: int = 0
    clothes: Colour = (0.2, 0.25, 0.4)
    collar: str = "crew"  # crew, shirt, vee


@dataclass(frozen=True)
class Shot:
    pose: Pose = Pose()
    expression: Expression = Expression()
    light: Light = Light()
    background: Background = Background()

    @classmethod
    def sample(cls, seed: int, number: int, index: int) -> Shot:
        """Return picture `index` of person `number` in the world `seed`; independent of every other picture."""
        rng = generator(seed, number, _STREAM + 8 * (index + 1) + (1 << 32))
        return cls(_pose(rng), _expression(rng), _light(rng), _background(rng))


def _normal(rng: np.random.Generator, mean: float, deviation: float, limit: float = 2.0) -> float:
    return float(mean + deviation * np.clip(rng.standard_normal(), -limit, limit))


def _pose(rng: np.random.Generator) -> Pose:
    return Pose(
        yaw=_normal(rng, 0.0, 0.17, 1.8),
        pitch=_normal(rng, 0.0, 0.08),
        roll=_normal(rng, 0.0, 0.025),
        scale=_normal(rng, 1.0, 0.02),
        dx=_normal(rng, 0.0, 0.008),
        dy=_normal(rng, 0.0, 0.008),
    )


def _expression(rng: np.random.Generator) -> Expression:
    smile = float(np.clip(rng.normal(0.3, 0.33), -0.3, 1.0))
    mouth_open = float(rng.uniform(0.15, 1.0)) if rng.uniform() < 0.4 else 0.0
    lids = float(np.clip(rng.normal(0.95, 0.13), 0.45, 1.15))
    wink = float(rng.uniform(0.9, 1.05))
    return Expression(
        smile=smile,
        mouth_open=mouth_open * (0.6 + 0.4 * float(rng.uniform())),
        gaze_x=float(np.clip(rng.normal(0, 0.35), -1, 1)),
        gaze_y=float(np.clip(rng.normal(0, 0.25), -0.7, 0.7)),
        lid_left=lids,
        lid_right=lids * wink,
        brow_raise=float(np.clip(rng.normal(0, 0.35), -0.8, 1.0)),
    )


def _light(rng: np.random.Generator) -> Light:
    warm = float(rng.uniform(-1, 1))
    cool = float(rng.uniform(-1, 1))
    return Light(
        azimuth=float(rng.uniform(-1.15, 1.15)),
        elevation=float(rng.uniform(0.15, 1.0)),
        key=float(rng.uniform(0.65, 1.0)),
        ambient=float(rng.uniform(0.30, 0.60)),
        colour=(1.0 + 0.07 * warm, 1.0 + 0.01 * warm, 1.0 - 0.10 * warm),
        ambient_colour=(1.0 + 0.05 * cool, 1.0, 1.0 - 0.08 * cool),
        hardness=float(rng.uniform(0.1, 0.9)),
        rim=float(rng.uniform(0.2, 0.8)) if rng.uniform() < 0.3 else 0.0,
    )


def _background(rng: np.random.Generator) -> Background:
    def colour(low: float, high: float, saturation: float) -> Colour:
        value = rng.uniform(low, high)
        r, g, b = np.clip(value * (1 + saturation * rng.uniform(-1, 1, 3)), 0, 1)
        return float(r), float(g), float(b)

    return Background(
        kind=str(rng.choice(["gradient", "bokeh", "bokeh", "wall", "window"])),
        first=colour(0.12, 0.85, 0.16),
        second=colour(0.1, 0.75, 0.24),
        seed=int(rng.integers(0, 1 << 31)),
        clothes=colour(0.08, 0.8, 0.45),
        collar=str(rng.choice(["crew", "shirt", "vee"])),
    )
