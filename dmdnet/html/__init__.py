"""Pages in one file: tables that sort, charts, pictures and sliders, with no network to show them.

Everything that is not markup made here is escaped, names of files and notes included. Charts are SVG made in Python.

    page = Page("A run", subtitle="120 pictures of 24 people")
    page.add("Numbers", paragraph("PSNR in dB."), table(("method", Column("psnr", align="right")), rows))
    page.add("Curves", grid(line_chart([Series("loss", steps, values)], title="loss", x_label="iteration")))
    write_bytes(path, page.render().encode())
"""

from dmdnet.html.blocks import (
    code,
    definitions,
    details,
    grid,
    items,
    link,
    note,
    paragraph,
    preformatted,
    span,
    subsection,
    text_block,
)
from dmdnet.html.charts import Bar, Interval, bar_chart, interval_chart
from dmdnet.html.line_chart import Series, line_chart
from dmdnet.html.markup import Html, element, escape, join
from dmdnet.html.page import Page
from dmdnet.html.pictures import Shown, compare, encode_picture, picture, slider
from dmdnet.html.tables import Cell, Column, format_number, table

__all__ = [
    "Bar",
    "Cell",
    "Column",
    "Html",
    "Interval",
    "Page",
    "Series",
    "Shown",
    "bar_chart",
    "code",
    "compare",
    "definitions",
    "details",
    "element",
    "encode_picture",
    "escape",
    "format_number",
    "grid",
    "interval_chart",
    "items",
    "join",
    "line_chart",
    "link",
    "note",
    "paragraph",
    "picture",
    "preformatted",
    "slider",
    "span",
    "subsection",
    "table",
    "text_block",
]
