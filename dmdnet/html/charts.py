"""Rows of values: dots with intervals, which say how sure a mean is, and bars from zero for counts and shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dmdnet.html.markup import Html, element
from dmdnet.html.scales import COLORS, FAINT, INK, MUTED, Scale, figure, line, make_scale, mark, text, tick_text
from dmdnet.html.tables import format_number

ROW, TOP, BOTTOM, RIGHT = 24, 6, 34, 14
LETTER = 6.1  # about the width of a letter of a label, in pixels


@dataclass(frozen=True)
class Interval:
    """A row of `interval_chart`: a value (None: none), its bounds, and its colour and mark (`kind`)."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    quiet: bool = False
    kind: int | None = None


@dataclass(frozen=True)
class Bar:
    """A row of `bar_chart`; `hint` is what a reader sees who points at it."""

    label: str
    value: float | None
    hint: str = ""
    quiet: bool = False
    kind: int = 0


def interval_chart(
    rows: Sequence[Interval], *, title: str, x_label: str = "", below: object = "", zero: bool = False, width: int = 360
) -> Html:
    """Return dots with their intervals, one row each. The axis need not begin at zero: no length stands for a value.

    Args:
        title: what is shown.
        below: a line of explanation, such as how the intervals were made.
        zero: draw a line at 0, for differences.
        width: in CSS pixels at full size.
    """
    values = [float(v) for row in rows for v in (row.value, row.low, row.high) if v is not None]
    left, height = _left([row.label for row in rows], width), TOP + ROW * len(rows) + BOTTOM
    x = make_scale(values, left, width - RIGHT, ticks=4, zero=zero)
    parts = [_axis(x, height, x_label)]
    if zero:
        parts.append(line(x(0), TOP, x(0), height - BOTTOM, stroke=FAINT, stroke_dasharray="3 3"))
    for index, row in enumerate(rows):
        middle = TOP + ROW * (index + 0.5)
        parts.append(_row_label(row.label, left, middle))
        if row.value is None or not math.isfinite(row.value):
            parts.append(text(left + 4, middle + 4, _without_place(row.value), anchor="start"))
            continue
        color = MUTED if row.quiet else COLORS[(index if row.kind is None else row.kind) % len(COLORS)]
        if row.low is not None and row.high is not None and math.isfinite(row.low) and math.isfinite(row.high):
            parts.append(line(x(row.low), middle, x(row.high), middle, stroke=color, width=2))
            parts += [
                line(x(end), middle - 4, x(end), middle + 4, stroke=color, width=2) for end in (row.low, row.high)
            ]
        hint = _in_words(row)
        parts.append(mark(index if row.kind is None else row.kind, x(row.value), middle, color, hint, 4.2))
    described = f"{title}: " + "; ".join(_in_words(row) for row in rows)
    return figure(title, _svg(parts, width, height, described), below=below)


def bar_chart(rows: Sequence[Bar], *, title: str, x_label: str = "", below: object = "", width: int = 360) -> Html:
    """Return bars that begin at zero, with their values at the end."""
    values = [row.value for row in rows if row.value is not None]
    left, height = _left([row.label for row in rows], width), TOP + ROW * len(rows) + BOTTOM
    x = make_scale(values, left, width - RIGHT - 34, ticks=3, zero=True)
    parts = [_axis(x, height, x_label)]
    for index, row in enumerate(rows):
        middle = TOP + ROW * (index + 0.5)
        parts.append(_row_label(row.label, left, middle))
        if row.value is None or not math.isfinite(row.value):
            parts.append(text(left + 4, middle + 4, _without_place(row.value), anchor="start"))
            continue
        color = MUTED if row.quiet else COLORS[row.kind % len(COLORS)]
        start, end = sorted((x(0), x(row.value)))
        title_of = (element("title", row.hint),) if row.hint else ()
        size = {"x": start, "y": middle - 7, "width": round(end - start, 2), "height": 14}
        parts.append(element("rect", *title_of, **size, fill=color, fill_opacity=0.85))
        parts.append(text(end + 5, middle + 4, _bar_text(row.value), anchor="start", fill=INK))
    described = f"{title}: " + "; ".join(f"{row.label} {format_number(row.value)}" for row in rows)
    return figure(title, _svg(parts, width, height, described), below=below)


def _without_place(value: float | None) -> str:
    """Return what stands where a value has no place on an axis: PSNR of equal pictures is infinite."""
    return "no value" if value is None or math.isnan(value) else format_number(value)


def _bar_text(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else format_number(value)


def _left(labels: Sequence[str], width: int) -> float:
    return min(width * 0.42, 12 + LETTER * max((len(label) for label in labels), default=0))


def _row_label(label: str, left: float, middle: float) -> Html:
    room = int((left - 10) / LETTER)
    if len(label) <= room + 1:
        return text(left - 8, middle + 4, label, anchor="end", fill=INK)
    cut = f"{label[: room - 1]}…"
    return element("text", element("title", label), cut, x=left - 8, y=middle + 4, text_anchor="end", fill=INK)


def _axis(x: Scale, height: int, x_label: str) -> Html:
    bottom = height - BOTTOM
    parts = [line(x(tick), TOP, x(tick), bottom) for tick in x.ticks]
    parts += [text(x(tick), bottom + 13, tick_text(tick, x.ticks)) for tick in x.ticks]
    if x_label:
        parts.append(text((x.start + x.end) / 2, height - 4, x_label, fill=INK))
    return element("g", *parts)


def _svg(parts: Sequence[Html], width: int, height: int, described: str) -> Html:
    return element(
        "svg", *parts, viewBox=f"0 0 {width} {height}", width=width, height=height, role="img", aria_label=described
    )


def _in_words(row: Interval) -> str:
    if row.low is None or row.high is None:
        return f"{row.label} {format_number(row.value)}"
    return f"{row.label} {format_number(row.value)} ({format_number(row.low)} to {format_number(row.high)})"
