"""Eyes: sclera, iris, lids, lashes and make-up."""

from __future__ import annotations

import numpy as np

from .geometry import Eye
from .identity import Identity
from .layer import Layer
from .paint import FloatArray, Frame, bump, noise_plane, over, sample_plane, smoothstep, spline, tint
from .shot import Expression, Light

IRIS_RADIUS = 0.0255


def _iris_colour(identity: Identity, side: int, radius: FloatArray, angle: FloatArray) -> FloatArray:
    """Return the colour of the iris at `radius` (1 at its rim) and `angle`; both eyes share their pigments."""
    iris = identity.iris
    plane = noise_plane(identity.stream(10 if side < 0 else 11), 64, 0.7)
    turns = angle * (64 / (2 * np.pi))
    fibre = sample_plane(plane, turns * 1.0, radius * 5) + 0.7 * sample_plane(plane, turns * 2.0, radius * 9 + 20)
    wavy = radius + 0.05 * fibre
    blend = smoothstep(iris.ring - 0.22, iris.ring + 0.18, wavy)[..., None]
    outer, inner = np.asarray(iris.outer, np.float32), np.asarray(iris.inner, np.float32)
    colour = inner + (outer - inner) * blend
    colour = colour * (1 + np.float32(0.26 * iris.fibres) * fibre[..., None])
    if iris.fleck > 0:
        away = np.abs(np.angle(np.exp(1j * (angle - iris.fleck_angle * side))))
        fleck = np.float32(iris.fleck) * smoothstep(0.55, 0.30, away) * smoothstep(0.3, 0.5, radius)
        colour = colour + (np.array([0.42, 0.24, 0.09], np.float32) - colour) * fleck[..., None]
    rim = smoothstep(0.78, 0.98, radius) * np.float32(0.25 + 0.6 * iris.limbal)
    return colour * (1 - rim[..., None])


def _ball(identity: Identity, eye: Eye, frame: Frame, expression: Expression) -> FloatArray:
    """Return the colour (H, W, 3) of the eyeball as if there were no lids."""
    x, y = frame.grid()
    radius = IRIS_RADIUS * (0.94 + 0.06 * identity.shape.eye_size)
    cx = eye.centre[0] + 0.017 * expression.gaze_x
    cy = eye.centre[1] - 0.0035 + 0.008 * expression.gaze_y
    dx, dy = (x - cx) / radius, (y - cy) / radius
    r, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    off = (x - eye.centre[0]) / eye.half_width
    white = np.array([0.86, 0.84, 0.83], np.float32) - np.float32(0.04 * identity.skin.wrinkles) * np.array(
        [0, 0.6, 1.2], np.float32
    )
    sclera = white * (1 - 0.26 * np.minimum(np.abs(off), 1.2) ** 3)[..., None]
    sclera = np.repeat(sclera, frame.height, 0) if sclera.shape[0] == 1 else sclera
    corner = eye.place(-0.98, 0.1)
    inner = bump(x, y, corner[0], corner[1], 0.008, 0.008)[..., None]
    colour = sclera + (np.array([0.80, 0.50, 0.47], np.float32) - sclera) * inner
    soft = 0.7 / (radius * frame.scale)
    iris = _iris_colour(identity, eye.side, r, angle)
    colour = colour + (iris - colour) * smoothstep(1 + soft, 1 - soft, r)[..., None]
    pupil = smoothstep(identity.iris.pupil + soft, identity.iris.pupil - soft, r)
    return colour * (1 - 0.96 * pupil[..., None])


def _catchlight(frame: Frame, eye: Eye, expression: Expression, light: Light) -> FloatArray:
    x, y = frame.grid()
    cx = eye.centre[0] + 0.017 * expression.gaze_x + 0.010 * np.sin(light.azimuth)
    cy = eye.centre[1] + 0.008 * expression.gaze_y - 0.004 - 0.009 * np.sin(light.elevation)
    size = 0.0030 + 0.0020 * (1 - light.hardness)
    r = np.hypot((x - cx) / size, (y - cy) / (size * 1.1))
    main = smoothstep(1.25, 0.75, r)
    second = 0.25 * bump(x, y, 2 * eye.centre[0] - cx, cy + 0.019, 0.005, 0.004)
    return np.clip(main * np.float32(0.6 + 0.4 * light.key) + second, 0, 1)


def _lashes(identity: Identity, eye: Eye) -> tuple[FloatArray, FloatArray]:
    """Return upper and lower lashes (M, 3, 2) with their widths (M,)."""
    rng = identity.stream(12 if eye.side < 0 else 13)
    up = identity.make_up
    t = np.linspace(0.02, 0.90, up.lash_count) + rng.uniform(-0.012, 0.012, up.lash_count)
    roots = eye.upper[(t * (len(eye.upper) - 1)).astype(int)]
    lean = eye.side * (0.95 - 1.55 * t) + rng.uniform(-0.22, 0.22, len(t))
    length = up.lash_length * 0.0345 * (1.0 - 0.5 * t) * rng.uniform(0.7, 1.15, len(t))
    rise = -0.15 - 0.75 * min(eye.lid, 1.0)
    tips = roots + length[:, None] * np.stack([lean, np.full(len(t), rise)], 1)
    middles = (roots + tips) / 2 + length[:, None] * np.stack([0.22 * lean, np.full(len(t), 0.22)], 1)
    s = np.linspace(0.08, 0.75, up.lash_count // 2)
    low = eye.lower[(s * (len(eye.lower) - 1)).astype(int)]
    reach = up.lash_length * 0.013 * np.stack([eye.side * (0.7 - 1.2 * s), np.full(len(s), 0.9)], 1)
    lines = np.concatenate([np.stack([roots, middles, tips], 1), np.stack([low, low + reach / 2, low + reach], 1)])
    return lines, np.concatenate([np.full(len(t), 0.0020 + 0.0012 * (up.lash_length > 0.45)), np.full(len(s), 0.0013)])


def _lid_skin(layer: Layer, identity: Identity, eye: Eye) -> None:
    """Paint shadow make-up and the fold above the eye."""
    up = identity.make_up
    frame = layer.frame.around(eye.place(np.array([-1.6, 1.9]), np.array([-2.4, 1.8])))
    x, y = frame.grid()
    if up.shadow_strength > 0:
        centre = eye.place(0.15, -0.75)
        mask = bump(x, y, centre[0], centre[1], eye.half_width * 0.85, eye.height * 0.60)
        over(layer.part(frame), up.shadow, np.minimum(mask * 1.25, 1) * np.float32(up.shadow_strength))
    lift = identity.shape.crease * (0.55 + 0.45 * min(eye.lid, 1.0))
    fold = eye.upper + np.stack(
        [np.zeros(len(eye.upper)), -eye.height * lift * (0.35 + 0.65 * _hump(len(eye.upper)))], 1
    )
    mask = frame.strokes([fold[6:], fold[6:][::-1]], [0.004, 0.004])
    mask = frame.blur(mask, 0.0010) * 0.85 + frame.blur(mask, 0.004) * 0.6
    tint(layer.part(frame), (0.60, 0.48, 0.44), np.minimum(mask * 0.85, 1))


def _hump(count: int) -> FloatArray:
    return np.sin(np.pi * np.clip(np.linspace(0.08, 0.95, count), 0, 1))


def _liner(layer: Layer, identity: Identity, eye: Eye, frame: Frame) -> None:
    up = identity.make_up
    lines, widths = [eye.upper, eye.upper[::-1]], [0.0042 + up.liner * eye.height, 0.0035]
    dark = np.array([0.10, 0.07, 0.06], np.float32)
    if up.wing > 0:
        tip = eye.corners[0] + np.array([eye.side * (0.008 + 0.018 * up.wing), -0.004 - 0.012 * up.wing])
        lines.append(spline(np.stack([eye.upper[4], eye.corners[0] + (eye.side * 0.003, -0.001), tip]), 5))
        widths.append(0.006)
    alpha = 0.9 if up.liner > 0 else 0.62
    over(layer.part(frame), dark, frame.strokes(lines, widths) * np.float32(alpha))
    low = frame.strokes([eye.lower, eye.lower[::-1]], [0.002 + up.lower_liner * eye.height, 0.0012])
    over(layer.part(frame), dark, low * np.float32(0.75 if up.lower_liner > 0 else 0.25))


def paint_eye(layer: Layer, identity: Identity, eye: Eye, expression: Expression, light: Light) -> None:
    """Paint one eye with its lids, lashes and make-up."""
    _lid_skin(layer, identity, eye)
    frame = layer.frame.around(eye.place(np.array([-1.5, 1.8]), np.array([-1.9, 1.4])))
    opening = frame.polygon(eye.outline)
    ball = _ball(identity, eye, frame, expression)
    lid = 1 - frame.blur(opening, 0.006)
    shadow = smoothstep(0.25, 0.95, lid)
    _, y = frame.grid()
    above = smoothstep(eye.centre[1] + 0.010, eye.centre[1] - 0.014, y)
    ball = ball * (1 - (0.50 * shadow * (0.35 + 0.65 * above))[..., None])
    catch = _catchlight(frame, eye, expression, light) * opening
    over(layer.part(frame), ball, opening)
    over(layer.part(frame), (1.15, 1.15, 1.15), catch)
    edge = frame.strokes([eye.lower, eye.lower[::-1]], [0.0042, 0.0042])
    over(layer.part(frame), np.asarray(identity.skin.colour) * (1.05, 0.88, 0.85), edge * 0.45)
    gloss = layer.frame.cut(layer.gloss, frame)
    gloss *= 1 - opening
    _liner(layer, identity, eye, frame)
    lines, widths = _lashes(identity, eye)
    over(layer.part(frame), (0.07, 0.05, 0.05), frame.hairs(lines, widths) * 0.88)
