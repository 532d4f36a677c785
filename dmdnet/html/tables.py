"""Tables: numbers under each other, sorted by a click, scrolled by themselves where the screen is narrow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dmdnet.html.markup import Html, element, escape, join

Align = Literal["left", "right"]
MISSING = "–"


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        title: its heading.
        align: numbers stand right.
        below: a smaller line under the heading, such as a unit or the better direction.
        hint: what a reader sees who points at the heading.
    """

    title: str
    align: Align = "left"
    below: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell that says more than its text.

    Attributes:
        content: what is read.
        below: a smaller line under it, such as an interval.
        sort: what the column is sorted by; None: the content, if that is a number or plain text.
        style: `best` for what stands out, `worse` for a change to the worse, `quiet` for what steps back.
        hint: what a reader sees who points at it.
    """

    content: object
    below: object = ""
    sort: float | str | None = None
    style: Literal["", "best", "worse", "quiet"] = ""
    hint: str = ""


def table(
    columns: Sequence[str | Column],
    rows: Sequence[Sequence[object]],
    *,
    caption: str = "",
    sortable: bool = True,
    label: str = "",
) -> Html:
    """Return a table whose first column names the rows.

    Args:
        columns: headings.
        rows: cells: text, numbers, None or NaN for nothing, `Html`, or `Cell`. What has no value sorts last.
        caption: a line above it.
        sortable: whether headings sort, by pointer and by keyboard.
        label: its name for who cannot see it, where there is no caption.

    Raises:
        ValueError: a row is not as long as the columns.
    """
    heads = [column if isinstance(column, Column) else Column(column) for column in columns]
    for row in rows:
        if len(row) != len(heads):
            raise ValueError(f"a row has {len(row)} cells, the table {len(heads)} columns")
    sortable = sortable and len(rows) > 1
    name = caption or label or "Table"
    made = element(
        "table",
        element("thead", element("tr", *(_head(head, sortable) for head in heads))),
        element("tbody", *(_row(row, heads) for row in rows)),
        class_="sortable" if sortable else None,
        aria_label=name,
    )
    # a region that can be scrolled has to be reachable by the keyboard; the caption stays where it is
    scrolled = element(
        "div", made, class_="scroll", tabindex="0", role="region", aria_label=f"{name}, scrolls sideways"
    )
    return join(element("div", caption, class_="table-title") if caption else None, scrolled)


def format_number(value: float | None, *, signed: bool = False) -> str:
    """Return a number with three digits behind the point, fewer for large ones; a dash for none."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size >= 1e6 or 0 < size < 5e-4:
        text = f"{size:.2e}"
    else:
        text = f"{size:.3f}" if size < 10 else f"{size:.2f}" if size < 1000 else f"{size:.0f}"
    shows_something = float(text) != 0
    sign = "−" if value < 0 and shows_something else "+" if signed and shows_something else ""
    return sign + text


def _head(column: Column, sortable: bool) -> Html:
    words = join(
        element("span", column.title, class_="title"),
        element("span", column.below, class_="below") if column.below else None,
    )
    return element(
        "th",
        element("button", words, type="button") if sortable else words,
        scope="col",
        class_=_classes(column.align),
        title=column.hint or None,
        aria_sort="none" if sortable else None,
    )


def _row(row: Sequence[object], columns: Sequence[Column]) -> Html:
    cells = enumerate(zip(row, columns, strict=True))
    return element("tr", *(_cell(value, column, index == 0) for index, (value, column) in cells))


def _cell(value: object, column: Column, first: bool) -> Html:
    cell = value if isinstance(value, Cell) else Cell(value)
    return element(
        "th" if first else "td",
        _shown(cell.content),
        element("span", cell.below, class_="below") if cell.below else None,
        scope="row" if first else None,
        class_=_classes(column.align, cell.style),
        data_sort=_sort_key(cell),
        title=cell.hint or None,
    )


def _shown(content: object) -> Html:
    if content is None:
        return escape(MISSING)
    if isinstance(content, float):
        return escape(format_number(content))
    return escape(content)


def _sort_key(cell: Cell) -> str | None:
    """Return what the script sorts by: a number where it is one, nothing where there is no value."""
    key = cell.content if cell.sort is None else cell.sort
    if key is None or (isinstance(key, float) and math.isnan(key)):
        return ""
    if isinstance(key, (bool, Html)):
        return None
    if isinstance(key, (int, float)):
        return repr(float(key)).replace("inf", "Infinity")  # as the script reads it
    return str(key)


def _classes(*names: str) -> str | None:
    return " ".join(name for name in names if name and name != "left") or None
