"""Curves: several series over one axis, with bands or error bars for how sure they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dmdnet.html.markup import Html, element, join
from dmdnet.html.scales import COLORS, FAINT, INK, MUTED, Scale, figure, line, make_scale, mark, text, tick_text
from dmdnet.html.tables import format_number

LEFT, RIGHT, TOP, BOTTOM = 46, 10, 8, 36
DASHES = (None, "6 3", "2 2.5", "8 3 2 3")
MOST_POINTS = 500  # of a curve; more is not seen at this size and would only make the page heavy
MOST_MARKS = 24

Point = tuple[float, float, float, float]


@dataclass(frozen=True)
class Series:
    """A curve.

    Attributes:
        label: in the legend.
        x, y: its points in order of x; where y is NaN or None, the curve is broken.
        low, high: bounds of each point; empty for none.
        quiet: drawn in grey, for what the others are held against.
        kind: its colour and mark; None: by its place among the series. Give it where charts share methods.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    quiet: bool = False
    kind: int | None = None

    @property
    def points(self) -> list[Point]:
        """x, y, low, high of each point; NaN for what there is not."""
        empty = (None,) * len(self.x)
        rows = zip(self.x, self.y, self.low or empty, self.high or empty, strict=True)
        return [(x, _float(y), _bound(low), _bound(high)) for x, y, low, high in rows]


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str = "",
    y_label: str = "",
    below: object = "",
    x_log: bool = False,
    y_log: bool = False,
    bars: bool | None = None,
    width: int = 360,
    height: int = 230,
) -> Html:
    """Return a chart of curves, a `<figure>` with an SVG.

    Args:
        series: any number of points each: long ones are thinned to the smallest and largest of each stretch.
        title: what is shown; above the chart, and the name of the drawing for who cannot see it.
        below: a line of explanation, such as how the bounds were made.
        x_log, y_log: logarithmic axes; what is not positive is left out.
        bars: error bars at each point, or bands; None: bars for few points.
        width, height: in CSS pixels at full size; a chart is not enlarged beyond, and shrinks with the screen.
    """
    curves = [[point for point in _thinned(one.points) if _drawable(point, x_log, y_log)] for one in series]
    everything = [point for curve in curves for point in curve]
    x = make_scale((point[0] for point in everything), LEFT, width - RIGHT, log=x_log)
    y = make_scale((value for point in everything for value in point[1:]), height - BOTTOM, TOP, ticks=4, log=y_log)
    if bars is None:
        bars = all(len(one.x) <= MOST_MARKS for one in series)
    drawn = [
        _curve(one, curve, x, y, bars, _kind(one, index))
        for index, (one, curve) in enumerate(zip(series, curves, strict=True))
    ]
    if not any(not math.isnan(point[1]) for point in everything):
        drawn = [text((LEFT + width - RIGHT) / 2, height / 2, "nothing to show")]
    drawing = element(
        "svg",
        _axes(x, y, width, height, x_label, y_label),
        *drawn,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=_described(title, series, x_label),
    )
    return figure(title, drawing, legend=_legend(series) if len(series) > 1 else None, below=below)


def _curve(one: Series, points: list[Point], x: Scale, y: Scale, bars: bool, kind: int) -> Html:
    color = MUTED if one.quiet else COLORS[kind % len(COLORS)]
    with_marks = len(points) <= MOST_MARKS
    parts: list[Html] = []
    for stretch in _unbroken(points):
        bounded = [point for point in stretch if not math.isnan(point[2] + point[3])]
        if bars:
            parts += [line(x(at), y(low), x(at), y(high), stroke=color, width=1.2) for at, _, low, high in bounded]
        elif len(bounded) > 1:
            around = [(at, high) for at, _, _, high in bounded] + [(at, low) for at, _, low, _ in reversed(bounded)]
            parts.append(element("polygon", points=_path(around, x, y), fill=color, fill_opacity=0.15))
        parts.append(
            element(
                "polyline",
                points=_path([(at, value) for at, value, *_ in stretch], x, y),
                fill="none",
                stroke=color,
                stroke_width=1.7 if with_marks else 1.3,
                stroke_linejoin="round",
                stroke_dasharray=DASHES[kind % len(DASHES)] if not with_marks else None,
            )
        )
        if with_marks or len(stretch) == 1:
            parts += [mark(kind, x(p[0]), y(p[1]), color, _hint(one.label, p)) for p in stretch]
    return element("g", *parts)


def _axes(x: Scale, y: Scale, width: int, height: int, x_label: str, y_label: str) -> Html:
    bottom = height - BOTTOM
    grid = [line(LEFT, y(tick), width - RIGHT, y(tick)) for tick in y.ticks]
    rows = [text(LEFT - 6, y(tick) + 3.5, tick_text(tick, y.ticks, log=y.log), anchor="end") for tick in y.ticks]
    shown = [tick for tick in x.ticks if LEFT - 0.5 <= x(tick) <= width - RIGHT + 0.5]
    columns = [
        join(
            line(x(tick), bottom, x(tick), bottom + 4, stroke=FAINT),
            text(
                x(tick),
                bottom + 15,
                tick_text(tick, x.ticks, log=x.log),
                anchor="end" if x(tick) > width - 24 else "middle",
            ),
        )
        for tick in shown
    ]
    names = [
        text((LEFT + width - RIGHT) / 2, height - 4, x_label, fill=INK) if x_label else None,
        text(10, (TOP + bottom) / 2, y_label, fill=INK, turn=True) if y_label else None,
    ]
    return element("g", *grid, line(LEFT, bottom, width - RIGHT, bottom, stroke=FAINT), *rows, *columns, *names)


def _legend(series: Sequence[Series]) -> Html:
    entries = []
    for index, one in enumerate(series):
        kind = _kind(one, index)
        color = MUTED if one.quiet else COLORS[kind % len(COLORS)]
        long = len(one.x) > MOST_MARKS
        stroke = line(0, 6, 22, 6, stroke=color, width=1.7, stroke_dasharray=DASHES[kind % 4] if long else None)
        sign = element(
            "svg", stroke, None if long else mark(kind, 11, 6, color), viewBox="0 0 22 12", width=22, height=12,
            aria_hidden="true",
        )  # fmt: skip
        entries.append(element("li", sign, element("span", one.label)))
    return element("ul", *entries, class_="legend")


def _kind(one: Series, index: int) -> int:
    return index if one.kind is None else one.kind


def _thinned(points: list[Point]) -> list[Point]:
    """Return at most about MOST_POINTS points: of each stretch the smallest and the largest, in their order."""
    if len(points) <= MOST_POINTS:
        return points
    stretch = -(-2 * len(points) // MOST_POINTS)
    kept: list[int] = [0, len(points) - 1]
    for start in range(0, len(points), stretch):
        here = range(start, min(start + stretch, len(points)))
        valued = [index for index in here if not math.isnan(points[index][1])]
        kept += (
            [min(valued, key=lambda i: points[i][1]), max(valued, key=lambda i: points[i][1])] if valued else here[:1]
        )
    return [points[index] for index in sorted(set(kept))]


def _bound(value: float | None) -> float:
    return math.nan if value is None or math.isinf(value) else value


def _drawable(point: Point, x_log: bool, y_log: bool) -> bool:
    at, value, low, high = point
    if not math.isfinite(at) or math.isinf(value) or (x_log and at <= 0):
        return False
    return not y_log or not any(bound <= 0 for bound in (value, low, high) if not math.isnan(bound))


def _unbroken(points: list[Point]) -> Iterator[list[Point]]:
    stretch: list[Point] = []
    for point in points:
        if not math.isnan(point[1]):
            stretch.append(point)
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _path(points: Sequence[tuple[float, float]], x: Scale, y: Scale) -> str:
    return " ".join(f"{x(at):g},{y(value):g}" for at, value in points)


def _hint(label: str, point: Point) -> str:
    at, value, low, high = point
    interval = "" if math.isnan(low + high) else f" ({format_number(low)} to {format_number(high)})"
    return f"{label}, {at:g}: {format_number(value)}{interval}"


def _described(title: str, series: Sequence[Series], x_label: str) -> str:
    parts = []
    for one in series:
        values = [(at, value) for at, value, *_ in one.points if not math.isnan(value)]
        if values:
            (first, start), (last, end) = values[0], values[-1]
            parts.append(f"{one.label} from {format_number(start)} at {first:g} to {format_number(end)} at {last:g}")
    return f"{title} over {x_label or 'x'}: " + "; ".join(parts or ["nothing to show"])


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)
