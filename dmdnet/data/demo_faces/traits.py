"""What a drawn person looks like: everything that stays the same from picture to picture.

The details that a reference must supply (iris, lashes, liner, brows, lips, moles, freckles, teeth, glasses) are drawn
independently of skin, hair and shape of the face, so that a blurred picture does not tell them.
"""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float]

SKINS: tuple[Colour, ...] = (
    (0.95, 0.79, 0.69),
    (0.92, 0.73, 0.61),
    (0.87, 0.67, 0.53),
    (0.80, 0.60, 0.45),
    (0.70, 0.50, 0.36),
    (0.56, 0.38, 0.27),
    (0.42, 0.28, 0.20),
)
HAIRS: tuple[Colour, ...] = (
    (0.07, 0.06, 0.06),
    (0.14, 0.10, 0.08),
    (0.24, 0.16, 0.11),
    (0.36, 0.24, 0.15),
    (0.50, 0.36, 0.22),
    (0.70, 0.55, 0.36),
    (0.80, 0.70, 0.52),
    (0.52, 0.24, 0.12),
    (0.60, 0.60, 0.60),
    (0.82, 0.81, 0.79),
)
IRISES: tuple[tuple[Colour, Colour], ...] = (
    ((0.20, 0.12, 0.08), (0.36, 0.21, 0.11)),
    ((0.33, 0.20, 0.10), (0.55, 0.34, 0.15)),
    ((0.46, 0.31, 0.13), (0.62, 0.44, 0.18)),
    ((0.32, 0.38, 0.20), (0.62, 0.52, 0.24)),
    ((0.26, 0.44, 0.33), (0.55, 0.62, 0.36)),
    ((0.25, 0.42, 0.58), (0.48, 0.60, 0.68)),
    ((0.28, 0.46, 0.62), (0.58, 0.66, 0.66)),
    ((0.34, 0.39, 0.44), (0.54, 0.52, 0.44)),
)
LIPSTICKS: tuple[Colour, ...] = (
    (0.66, 0.12, 0.16),
    (0.48, 0.10, 0.22),
    (0.80, 0.34, 0.36),
    (0.62, 0.30, 0.26),
    (0.74, 0.24, 0.42),
)
SHADOWS: tuple[Colour, ...] = (
    (0.35, 0.27, 0.30),
    (0.30, 0.36, 0.50),
    (0.46, 0.30, 0.22),
    (0.45, 0.28, 0.45),
    (0.28, 0.42, 0.38),
)
FRAMES: tuple[Colour, ...] = (
    (0.06, 0.06, 0.07),
    (0.30, 0.17, 0.09),
    (0.62, 0.60, 0.58),
    (0.45, 0.08, 0.10),
    (0.10, 0.16, 0.34),
)


@dataclass(frozen=True)
class Shape:
    """Proportions of the head; 1 is average unless said otherwise."""

    width: float
    jaw: float  # -1 narrow .. 1 square
    chin: float
    eye_size: float
    eye_spacing: float
    eye_tilt: float  # radians, outer corner up
    eye_height: float
    nose_length: float
    nose_width: float
    nose_relief: float
    mouth_width: float
    mouth_height: float  # offset in units
    upper_lip: float
    lower_lip: float
    cupid_bow: float  # 0 flat .. 1 deep
    cheeks: float
    crease: float  # height of the lid fold over the eye, in units of the eye's height


@dataclass(frozen=True)
class Brows:
    height: float  # offset in units, up is positive
    arch: float
    slant: float
    thickness: float
    length: float
    density: float
    colour: Colour
    slit: float  # place of a bald line along the brow, 0..1; negative: none
    slit_side: int
    bushiness: float


@dataclass(frozen=True)
class Iris:
    outer: Colour
    inner: Colour
    limbal: float
    pupil: float
    fibres: float
    ring: float
    fleck_angle: float
    fleck: float


@dataclass(frozen=True)
class MakeUp:
    liner: float  # thickness in units of the eye's height, 0 none
    wing: float
    lower_liner: float
    shadow: Colour
    shadow_strength: float
    lash_length: float
    lash_count: int
    blush: float


@dataclass(frozen=True)
class Mouth:
    colour: Colour
    lipstick: float
    gloss: float
    outline: float
    lines: float
    inside: float  # tone of the inner part of the lips: -1 dark .. 1 pale
    lower: float  # tone of the lower lip against the upper one, -1..1
    spots: int
    tooth_width: float
    tooth_gap: float
    tooth_tilt: float
    tooth_colour: Colour


@dataclass(frozen=True)
class Mole:
    x: float
    y: float
    radius: float
    strength: float


@dataclass(frozen=True)
class Skin:
    colour: Colour
    redness: float
    texture: float
    freckles: float
    wrinkles: float
    moles: tuple[Mole, ...]


@dataclass(frozen=True)
class Hair:
    colour: Colour
    style: str  # bald, crop, short, side, bob, long, curly, afro, bun
    part: float
    volume: float
    hairline: float
    fringe: float
    wave: float
    grey: float


@dataclass(frozen=True)
class Beard:
    style: str  # none, stubble, moustache, goatee, full
    density: float


@dataclass(frozen=True)
class Glasses:
    shape: str  # round, square, oval, half
    thickness: float
    size: float
    colour: Colour


@dataclass(frozen=True)
class Jewels:
    nose_stud: int  # -1 left, 1 right, 0 none
    lip_ring: int
    brow_ring: int
    earrings: float


@dataclass(frozen=True)
class Traits:
    """All of a person's looks. `feminine` is 0..1, `age` in years."""

    age: float
    feminine: float
    shape: Shape
    brows: Brows
    iris: Iris
    make_up: MakeUp
    mouth: Mouth
    skin: Skin
    hair: Hair
    beard: Beard
    glasses: Glasses | None
    jewels: Jewels
