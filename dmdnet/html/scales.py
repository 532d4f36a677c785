"""Axes: round numbers on them, and where a value falls."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from dmdnet.html.markup import Html, element

INK, FAINT, RULE = "#1c1f24", "#5b616b", "#e3e5e9"
# Told apart by people who see few colours, each at least 3:1 against white; charts give each a mark of its own, too.
COLORS = ("#0b62a4", "#c8501a", "#0b8457", "#a2458f", "#8a6100", "#b3243f", "#1c7f91", "#5a4fb0")
MUTED = "#767c86"
_FAR = 1e100  # an axis goes no further; what lies beyond is drawn beyond it


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on pixels from `start` to `end`, with `ticks` at round values."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        return round(self.start + (at - low) / (high - low) * (self.end - self.start), 2)


def make_scale(
    values: Iterable[float], start: float, end: float, *, ticks: int = 5, log: bool = False, zero: bool = False
) -> Scale:
    """Return a scale that holds all finite values.

    Args:
        values: data; for `log` those that are not positive are left out.
        ticks: about how many.
        zero: whether 0 belongs on the axis, as it does below bars.
    """
    found = [min(max(value, -_FAR), _FAR) for value in values if math.isfinite(value) and (value > 0 or not log)]
    found = [max(value, 1 / _FAR) for value in found] if log else found
    found += [0.0] if zero and not log else []
    low, high = (min(found), max(found)) if found else (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        return _log_scale(low, high, start, end)
    if high - low < 1e-9 * max(1.0, abs(high), abs(low)):
        pad = abs(high) * 0.05 if abs(high) > 1e-9 else 0.5
        low, high = low - pad, high + pad
    step = _round_step((high - low) / max(1, ticks))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    marks = tuple(round(index * step, 12) for index in range(first, last + 1))
    return Scale(marks[0], marks[-1], start, end, marks)


def _log_scale(low: float, high: float, start: float, end: float) -> Scale:
    if high <= low * 1.0001:
        low, high = low / 2, high * 2
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = max(1, len(powers) // 6)
    marks = [10.0**power for power in powers if low * 0.999 <= 10.0**power <= high * 1.001 and power % every == 0]
    if len(marks) < 2:  # less than two decades: 1, 2 and 5 of each
        marks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        marks = [mark for mark in marks if low * 0.999 <= mark <= high * 1.001] or [low, high]
    return Scale(low, high, start, end, tuple(marks), log=True)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next((digit * power for digit in (1, 2, 2.5, 5) if digit * power >= rough * 0.999), 10 * power)


def tick_text(value: float, ticks: tuple[float, ...], *, log: bool = False) -> str:
    """Return a tick's number with the digits that tell it from its neighbours."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e5 or size < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}".replace("-", "−")
    if log:
        return f"{value:g}"
    step = min((abs(b - a) for a, b in pairwise(ticks)), default=1.0)
    digits = next((digits for digits in range(6) if abs(round(step, digits) - step) < step * 1e-6), 6)
    return f"{value:.{digits}f}".replace("-", "−")


def text(x: float, y: float, words: object, *, anchor: str = "middle", fill: str = FAINT, turn: bool = False) -> Html:
    """Return a text of a chart, anchored at its start, middle or end."""
    turned = f"rotate(-90 {x} {y})" if turn else None
    return element("text", words, x=x, y=y, text_anchor=anchor, fill=fill, transform=turned)


def line(x1: float, y1: float, x2: float, y2: float, *, stroke: str = RULE, width: float = 1, **more: object) -> Html:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, stroke_width=width, **more)


def mark(kind: int, x: float, y: float, color: str, hint: str = "", size: float = 3.6) -> Html:
    """Return the mark of series number `kind`: disc, square, diamond, triangle, then rings of these."""
    r, full = size, kind % 8 < 4
    paint = {"fill": color if full else "#fff", "stroke": color, "stroke_width": 1.5}
    title = (element("title", hint),) if hint else ()
    if kind % 4 == 0:
        return element("circle", *title, cx=x, cy=y, r=r, **paint)
    corners = (
        ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        ((0, -1.2), (1.15, 0.9), (-1.15, 0.9)),
    )[kind % 4 - 1]
    points = " ".join(f"{x + dx * r:.2f},{y + dy * r:.2f}" for dx, dy in corners)
    return element("polygon", *title, points=points, **paint)


def figure(title: object, drawing: Html, *, legend: Html | None = None, below: object = "") -> Html:
    """Return a chart with its title above and a line of explanation below."""
    return element(
        "figure",
        element("div", title, class_="chart-title"),
        legend,
        drawing,
        element("figcaption", below) if below else None,
        class_="chart",
    )
