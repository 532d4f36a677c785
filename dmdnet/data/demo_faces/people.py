"""Draws the parameters of a person from a random stream."""

from __future__ import annotations

import colorsys

import numpy as np

from .traits import (
    FRAMES,
    HAIRS,
    IRISES,
    LIPSTICKS,
    SHADOWS,
    SKINS,
    Beard,
    Brows,
    Colour,
    Glasses,
    Hair,
    Iris,
    Jewels,
    MakeUp,
    Mole,
    Mouth,
    Shape,
    Skin,
    Traits,
)

Rng = np.random.Generator


def _normal(rng: Rng, mean: float, deviation: float, limit: float = 2.0) -> float:
    return float(mean + deviation * np.clip(rng.standard_normal(), -limit, limit))


def _shift(rng: Rng, colour: Colour, hue: float, saturation: float, value: float) -> Colour:
    """Return the colour with a random change of hue, saturation and value."""
    h, s, v = colorsys.rgb_to_hsv(*colour)
    h = (h + hue * rng.uniform(-1, 1)) % 1.0
    s = min(max(s * (1 + saturation * rng.uniform(-1, 1)), 0.0), 1.0)
    v = min(max(v * (1 + value * rng.uniform(-1, 1)), 0.0), 1.0)
    return colorsys.hsv_to_rgb(h, s, v)


def _mix(a: Colour, b: Colour, t: float) -> Colour:
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


def _shape(rng: Rng, feminine: float) -> Shape:
    return Shape(
        width=_normal(rng, 1.0 - 0.02 * feminine, 0.035),
        jaw=_normal(rng, 0.35 - 0.7 * feminine, 0.4),
        chin=_normal(rng, 1.0, 0.05),
        eye_size=_normal(rng, 1.06 + 0.06 * feminine, 0.06),
        eye_spacing=_normal(rng, 1.0, 0.035),
        eye_tilt=_normal(rng, 0.03 + 0.03 * feminine, 0.06),
        eye_height=_normal(rng, 1.05 + 0.1 * feminine, 0.12),
        nose_length=_normal(rng, 1.0, 0.05),
        nose_width=_normal(rng, 1.04 - 0.12 * feminine, 0.12),
        nose_relief=_normal(rng, 1.0, 0.15),
        mouth_width=_normal(rng, 1.0, 0.08),
        mouth_height=_normal(rng, 0.0, 0.008),
        upper_lip=_normal(rng, 0.95 + 0.2 * feminine, 0.22),
        lower_lip=_normal(rng, 0.98 + 0.15 * feminine, 0.18),
        cupid_bow=float(rng.uniform(0.0, 1.0)),
        cheeks=_normal(rng, 1.0, 0.3),
        crease=float(rng.uniform(0.25, 0.85)),
    )


def _brows(rng: Rng, feminine: float, hair: Colour) -> Brows:
    slit = rng.uniform() < 0.15
    own = HAIRS[int(rng.integers(0, 5))]
    return Brows(
        height=_normal(rng, 0.006 * feminine, 0.006),
        arch=_normal(rng, 0.2 + 0.5 * feminine, 0.4),
        slant=_normal(rng, 0.0, 0.5),
        thickness=_normal(rng, 1.15 - 0.45 * feminine, 0.25),
        length=_normal(rng, 1.0, 0.06),
        density=float(rng.uniform(0.45, 1.0)),
        colour=_mix(_mix(hair, own, float(rng.uniform(0.2, 0.9))), (0.1, 0.08, 0.07), 0.35),
        slit=float(rng.uniform(0.55, 0.85)) if slit else -1.0,
        slit_side=-1 if rng.uniform() < 0.5 else 1,
        bushiness=float(rng.uniform(0.0, 1.0)) * (1 - 0.6 * feminine),
    )


def _iris(rng: Rng) -> Iris:
    outer, inner = IRISES[int(rng.integers(0, len(IRISES)))]
    return Iris(
        outer=_shift(rng, outer, 0.02, 0.2, 0.2),
        inner=_shift(rng, inner, 0.03, 0.25, 0.2),
        limbal=float(rng.uniform(0.3, 1.0)),
        pupil=float(rng.uniform(0.30, 0.46)),
        fibres=float(rng.uniform(0.3, 1.0)),
        ring=float(rng.uniform(0.5, 0.8)),
        fleck_angle=float(rng.uniform(0, 2 * np.pi)),
        fleck=float(rng.uniform(0.5, 1.0)) if rng.uniform() < 0.35 else 0.0,
    )


def _make_up(rng: Rng, feminine: float) -> MakeUp:
    wears = rng.uniform() < 0.08 + 0.8 * feminine
    lined = wears and rng.uniform() < 0.75
    return MakeUp(
        liner=float(rng.uniform(0.08, 0.34)) if lined else 0.0,
        wing=float(rng.uniform(0.0, 1.0)) if lined and rng.uniform() < 0.6 else 0.0,
        lower_liner=float(rng.uniform(0.05, 0.16)) if lined and rng.uniform() < 0.5 else 0.0,
        shadow=SHADOWS[int(rng.integers(0, len(SHADOWS)))],
        shadow_strength=float(rng.uniform(0.15, 0.7)) if wears and rng.uniform() < 0.65 else 0.0,
        lash_length=float(rng.uniform(0.18, 0.34) + (rng.uniform(0.1, 0.4) if wears else 0.0)),
        lash_count=int(rng.integers(14, 30)),
        blush=float(rng.uniform(0.2, 1.0)) if wears else 0.0,
    )


def _mouth(rng: Rng, feminine: float, skin: Colour) -> Mouth:
    painted = rng.uniform() < 0.05 + 0.6 * feminine
    natural = _mix(skin, (0.62, 0.24, 0.25), float(rng.uniform(0.3, 0.65)))
    paint = LIPSTICKS[int(rng.integers(0, len(LIPSTICKS)))]
    return Mouth(
        colour=_shift(rng, _mix(natural, paint, 0.8) if painted else natural, 0.015, 0.15, 0.1),
        lipstick=float(rng.uniform(0.5, 1.0)) if painted else 0.0,
        gloss=float(rng.uniform(0.1, 1.0)),
        outline=float(rng.uniform(0.0, 1.0)),
        lines=float(rng.uniform(0.3, 1.0)),
        inside=float(rng.uniform(-1.0, 1.0)),
        lower=float(rng.uniform(-1.0, 1.0)),
        spots=max(int(rng.integers(-3, 5)), 0),
        tooth_width=float(rng.uniform(0.85, 1.15)),
        tooth_gap=float(rng.uniform(0.1, 0.26)) if rng.uniform() < 0.3 else 0.0,
        tooth_tilt=_normal(rng, 0.0, 0.08),
        tooth_colour=_mix((0.96, 0.95, 0.92), (0.86, 0.80, 0.66), float(rng.uniform(0, 1))),
    )


def _moles(rng: Rng) -> tuple[Mole, ...]:
    """Return moles, most of them around the eyes and the mouth where references help."""
    count = int(rng.choice([0, 1, 1, 2, 2, 3, 4]))
    moles = []
    for _ in range(count):
        where = rng.uniform()
        side = -1 if rng.uniform() < 0.5 else 1
        if where < 0.4:
            x, y = side * rng.uniform(0.05, 0.2), rng.uniform(0.52, 0.57)
        elif where < 0.8:
            x, y = side * rng.uniform(0.03, 0.17), rng.choice([rng.uniform(0.67, 0.70), rng.uniform(0.80, 0.85)])
        else:
            x, y = side * rng.uniform(0.02, 0.22), rng.uniform(0.25, 0.88)
        moles.append(Mole(float(x), float(y), float(rng.uniform(0.0035, 0.0085)), float(rng.uniform(0.4, 0.9))))
    return tuple(moles)


def _skin(rng: Rng, age: float, colour: Colour) -> Skin:
    pale = colour[0] > 0.75
    return Skin(
        colour=colour,
        redness=float(rng.uniform(0.2, 1.0)),
        texture=float(rng.uniform(0.4, 1.0)),
        freckles=float(rng.uniform(0.3, 1.0)) if rng.uniform() < (0.3 if pale else 0.12) else 0.0,
        wrinkles=float(np.clip((age - 32) / 40 + rng.uniform(-0.15, 0.15), 0.0, 1.0)),
        moles=_moles(rng),
    )


def _hair(rng: Rng, age: float, feminine: float, colour: Colour, grey: float) -> Hair:
    if feminine > 0.5:
        style = str(rng.choice(["long", "long", "bob", "bob", "bun", "curly", "short", "afro"]))
    else:
        style = str(rng.choice(["crop", "crop", "short", "short", "side", "side", "curly", "afro", "bald", "long"]))
        if age > 50 and rng.uniform() < 0.3:
            style = "bald"
    return Hair(
        colour=colour,
        style=style,
        part=float(rng.uniform(-0.12, 0.12)),
        volume=_normal(rng, 1.0, 0.15),
        hairline=_normal(rng, 0.012 * (1 - feminine) * max(0.0, (age - 35) / 30), 0.012),
        fringe=float(rng.uniform(0.3, 1.0)) if rng.uniform() < (0.35 if feminine > 0.5 else 0.2) else 0.0,
        wave=float(rng.uniform(0.0, 1.0)),
        grey=grey,
    )


def _beard(rng: Rng, feminine: float) -> Beard:
    if feminine > 0.5:
        return Beard("none", 0.0)
    style = str(rng.choice(["none", "none", "stubble", "stubble", "moustache", "goatee", "full"]))
    return Beard(style, float(rng.uniform(0.45, 1.0)))


def _glasses(rng: Rng) -> Glasses | None:
    if rng.uniform() > 0.22:
        return None
    return Glasses(
        shape=str(rng.choice(["round", "square", "oval", "half"])),
        thickness=float(rng.uniform(0.005, 0.014)),
        size=float(rng.uniform(0.9, 1.12)),
        colour=FRAMES[int(rng.integers(0, len(FRAMES)))],
    )


def _jewels(rng: Rng, feminine: float) -> Jewels:
    def side(chance: float) -> int:
        worn, which = rng.uniform() < chance, rng.uniform() < 0.5
        return 0 if not worn else (-1 if which else 1)

    return Jewels(
        side(0.1), side(0.08), side(0.08), float(rng.uniform(0.3, 1.0)) if rng.uniform() < 0.7 * feminine else 0.0
    )


def sample_traits(rng: Rng) -> Traits:
    """Return the looks of a person drawn from `rng`."""
    age = float(18 + 60 * rng.beta(1.3, 1.8))
    feminine = float(rng.uniform(0.0, 0.2) if rng.uniform() < 0.5 else rng.uniform(0.8, 1.0))
    tone = float(rng.uniform(0, len(SKINS) - 1.001))
    skin = _shift(rng, _mix(SKINS[int(tone)], SKINS[int(tone) + 1], tone % 1), 0.01, 0.08, 0.03)
    grey = float(np.clip((age - 42) / 30 + rng.uniform(-0.4, 0.3), 0, 1))
    pigment = HAIRS[int(rng.integers(0, 8 if tone < 2.5 else 3))]
    hair = _mix(_shift(rng, pigment, 0.01, 0.2, 0.25), HAIRS[9 if rng.uniform() < 0.5 else 8], 0.8 * grey)
    return Traits(
        age=age,
        feminine=feminine,
        shape=_shape(rng, feminine),
        brows=_brows(rng, feminine, hair),
        iris=_iris(rng),
        make_up=_make_up(rng, feminine),
        mouth=_mouth(rng, feminine, skin),
        skin=_skin(rng, age, skin),
        hair=_hair(rng, age, feminine, hair, grey),
        beard=_beard(rng, feminine),
        glasses=_glasses(rng),
        jewels=_jewels(rng, feminine),
    )
