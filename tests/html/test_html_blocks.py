import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from dmdnet.html import (
    Bar,
    Cell,
    Column,
    Html,
    Interval,
    Page,
    Series,
    Shown,
    bar_chart,
    code,
    compare,
    definitions,
    details,
    element,
    encode_picture,
    escape,
    format_number,
    grid,
    interval_chart,
    items,
    join,
    line_chart,
    link,
    note,
    paragraph,
    picture,
    preformatted,
    slider,
    span,
    subsection,
    table,
)
from dmdnet.html.scales import COLORS, make_scale, tick_text

EVIL = """</script><script>alert('x')</script><img src=x onerror=alert(1)>"'&--></style>"""
VOID = {"img", "input", "meta", "link", "br", "hr", "wbr"}


class Reader(HTMLParser):
    """Elements with their attributes, and the text; raises where elements are not closed in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def grey(size: int = 16) -> np.ndarray:
    return np.full((size, size, 3), 128, np.uint8)


def every_block(text: str) -> list[Html]:
    """Return every block that takes text, with this text in every place."""
    return [
        paragraph(text, code(text), span(text, "quiet"), link(text, "https://example.org/" + text), quiet=True),
        note(text),
        items(text),
        definitions({text: text}),
        details(text, paragraph(text)),
        preformatted(text),
        subsection(text, grid(paragraph(text))),
        table(
            [text, Column(text, "right", text, text)],
            [(text, Cell(text, text, text, "best", text)), (text, 1.0)],
            caption=text,
        ),
        line_chart([Series(text, [1, 2], [1.0, 2.0])], title=text, x_label=text, y_label=text, below=text),
        line_chart([Series(text, [1, 2], [1, 2]), Series(text, [1], [3])], title=text),
        interval_chart([Interval(text, 1.0, 0.5, 2.0)], title=text, x_label=text, below=text),
        bar_chart([Bar(text, 3, hint=text)], title=text, x_label=text, below=text),
        picture(grey(), text, caption=text),
        slider(grey(), grey(), before_label=text, after_label=text, alt=text),
        compare([Shown(grey(), text, text, text), Shown(grey(), text)], alt=text),
    ]


def test_no_text_becomes_markup_wherever_it_stands() -> None:
    """The same elements with the same attributes' names, whatever the text: it is nowhere more than text."""
    long = "x" * len(EVIL)  # what is long is cut in the same places
    harmless = Page(long, subtitle=long, footer=long).add(long, *every_block(long)).render()
    page = Page(EVIL, subtitle=EVIL, footer=EVIL).add(EVIL, *every_block(EVIL)).render()
    evil, plain = Reader(page), Reader(harmless)
    # where a long name may be broken depends on it
    shapes = [[(tag, list(given)) for tag, given in page.elements if tag != "wbr"] for page in (evil, plain)]
    assert shapes[0] == shapes[1]
    assert EVIL in evil.words
    assert EVIL in [attributes.get("alt") for attributes in evil.named("img")]


def test_text_is_escaped_and_markup_only_once() -> None:
    assert escape("<a & 'b'>") == "&lt;a &amp; &#x27;b&#x27;&gt;"
    assert escape(element("b", "<")) == "<b>&lt;</b>"
    assert not isinstance(element("b") + "<i>", Html)  # a sum is text again, and would be escaped
    assert element("a", "x", class_="c", aria_label='"', hidden=True, title=None, open_=False) == (
        '<a class="c" aria-label="&quot;" hidden>x</a>'
    )
    assert join("<", None, element("br"), between=" ") == "&lt; <br/>"


def test_bytes_that_are_no_text_and_hidden_characters_are_written_out() -> None:
    assert escape(b"caf\xe9.png".decode("utf-8", "surrogateescape")) == "caf\\udce9.png"
    assert escape("a\u202egnp.exe\x00") == "a\\u202egnp.exe\\u0000"
    assert escape("Zoë 王 👩🏽\n") == "Zoë 王 👩🏽\n"


def test_only_web_addresses_are_links() -> None:
    assert link("x", "javascript:alert(1)") == "<span>x</span>"
    assert "href" in link("x", "https://example.org")
    assert link("x", "#here") == '<a href="#here">x</a>'


def test_a_page_holds_everything_and_names_its_script_by_its_hash() -> None:
    page = Reader(Page("t").add("A b", paragraph("x")).add("A b", level=2).add("Ü", anchor="u").render())
    policy = next(m["content"] for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert [one["id"] for one in page.named("section")] == ["a-b", "a-b-2", "u"]
    assert [one["href"] for one in page.named("a")[1:]] == ["#a-b", "#a-b-2", "#u"]
    assert not [one for one in page.elements if "src" in one[1] or "style" in one[1] or "onclick" in one[1]]


def test_numbers_are_written_with_what_they_can_say() -> None:
    shown = [format_number(value) for value in (0.12345, 23.456, 1234.6, 2e7, 0.00001, 0.0, -0.5, None, math.nan)]
    assert shown == ["0.123", "23.46", "1235", "2.00e+07", "1.00e-05", "0.000", "−0.500", "–", "–"]
    assert format_number(1.5, signed=True) == "+1.500"


def test_a_table_says_what_its_columns_sort_by() -> None:
    rows = [("a", Cell("1 of 2", sort=0.5)), ("b", None), ("c", 3)]
    found = Reader(table(["name", Column("share", "right")], rows, caption="Shares"))
    assert [one["data-sort"] for one in found.named("td")] == ["0.5", "", "3.0"]
    assert [one["aria-sort"] for one in found.named("th") if "aria-sort" in one] == ["none", "none"]
    assert found.named("table")[0]["aria-label"] == "Shares"
    assert not Reader(table(["name"], rows=[("one",)])).named("button")  # nothing to sort
    with pytest.raises(ValueError, match="1 cells, the table 2"):
        table(["a", "b"], [("a",)])


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((0.0, 10.0), (0, 2, 4, 6, 8, 10)),
        ((21.3, 24.9), (21, 22, 23, 24, 25)),
        ((0.701, 0.703), (0.701, 0.7015, 0.702, 0.7025, 0.703)),
        ((-3, 4), (-4, -2, 0, 2, 4)),
    ],
)
def test_axes_have_round_numbers_around_all_values(values: tuple[float, float], ticks: tuple[float, ...]) -> None:
    scale = make_scale(values, 0, 100)
    assert scale.ticks == pytest.approx(ticks)
    assert scale.low <= min(values) <= max(values) <= scale.high
    assert scale(scale.low) == 0
    assert scale(scale.high) == 100
    assert len({tick_text(tick, scale.ticks) for tick in scale.ticks}) == len(scale.ticks)


def test_axes_of_one_value_of_none_and_of_powers() -> None:
    assert make_scale([5.0], 0, 1).low < 5 < make_scale([5.0], 0, 1).high
    assert make_scale([], 0, 1).low == 0
    log = make_scale([1e-4, math.nan, -1.0, 1.0], 0, 100, log=True)
    assert log(1e-2) == 50
    assert make_scale([3.0, 4.0], 0, 1, zero=True).low == 0


def test_a_curve_is_thinned_without_losing_its_extremes() -> None:
    values = [1.0] * 20_000
    values[7_777], values[9_999] = 5.0, -5.0
    drawn = line_chart([Series("loss", range(20_000), values)], title="loss")
    points = [tuple(map(float, p.split(","))) for p in Reader(drawn).named("polyline")[0]["points"].split()]
    assert len(points) < 600
    heights = {y for _, y in points}
    assert len(heights) == 3
    assert len(drawn) < 12_000


def test_a_curve_is_broken_where_there_is_nothing_and_bounds_are_drawn() -> None:
    broken = Series("a", [1, 2, 3, 4], [1.0, None, 3.0, 4.0], [0.5, None, 2.5, None], [1.5, None, 3.5, None])
    drawn = Reader(line_chart([broken, Series("b", [1, 4], [2.0, 2.0], quiet=True)], title="t", bars=True))
    assert len(drawn.named("polyline")) == 3
    assert "from 1.000 at 1 to 4.000 at 4" in drawn.named("svg")[-1]["aria-label"]
    assert drawn.named("svg")[-1]["role"] == "img"
    assert "nothing to show" in Reader(line_chart([], title="t")).words


def test_rows_without_a_value_say_so() -> None:
    words = Reader(interval_chart([Interval("a", None), Interval("b", 2.0)], title="t", zero=True)).words
    assert "no value" in words
    assert "no value" in Reader(bar_chart([Bar("a", math.nan), Bar("b", 12)], title="t")).words
    assert "12" in Reader(bar_chart([Bar("a", 3), Bar("b", 12)], title="t")).words


def test_pictures_are_inside_small_and_described() -> None:
    address, wide, high = encode_picture(np.zeros((40, 80, 3), np.uint8), width=20)
    assert (wide, high) == (20, 10)
    assert address.startswith("data:image/webp;base64,")
    assert encode_picture(grey(8), width=20)[1] == 8  # never enlarged
    images = Reader(slider(grey(), grey(), before_label="input", after_label="ours", alt="Ada")).named("img")
    assert [one["alt"] for one in images] == ["input: Ada", "ours: Ada"]
    with pytest.raises(ValueError, match="uint8"):
        encode_picture(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match="two pictures"):
        compare([Shown(grey(), "one")])


def luminance(color: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("colors", "least"), [(COLORS, 3.0), (("#1c1f24", "#5b616b", "#0a6b3d", "#a8321f"), 4.5)])
def test_colours_stand_out_from_white(colors: tuple[str, ...], least: float) -> None:
    assert min(1.05 / (luminance(color) + 0.05) for color in colors) >= least


EXTREMES = (0.0, 1.0, 1e-15, 5e-324, 1e308, -1e308, math.inf, -math.inf, math.nan, None)


@pytest.mark.parametrize("value", EXTREMES)
@pytest.mark.parametrize("other", EXTREMES)
def test_no_number_keeps_a_chart_from_being_drawn(value, other):
    """PSNR of equal pictures is infinite; a training may diverge, or have nothing left to learn."""
    charts = [
        interval_chart([Interval("a", value, other, other), Interval("b", other)], title="t", zero=True),
        bar_chart([Bar("a", value), Bar("b", other)], title="t"),
    ]
    assert 'data-sort="Infinity"' in str(table(["a", "b"], [["x", math.inf], ["y", 1.0]]))
    for log in (False, True):
        charts.append(line_chart([Series("a", (1, 2), (value, other))], title="t", y_log=log))
        bounded = Series("a", (1, 2), (1, 2), low=(value, other), high=(other, value))
        charts.append(line_chart([bounded], title="t", y_log=log))
    for chart in charts:
        drawn = re.sub(r'aria-label="[^"]*"|<title>[^<]*</title>', "", str(chart))
        assert not re.search(r'"[^"]*\b(nan|inf)\b[^"]*"', drawn)
