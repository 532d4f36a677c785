"""Blocks of text: paragraphs, lists, notes, things to unfold."""

from __future__ import annotations

from collections.abc import Mapping

from dmdnet.html.markup import Html, element, join


def paragraph(*parts: object, quiet: bool = False) -> Html:
    """Return a paragraph of text and inline markup; `quiet` for what stands below a table or a chart."""
    return element("p", *parts, class_="quiet" if quiet else None)


def note(*parts: object) -> Html:
    """Return a paragraph that stands out: what a reader must know before the numbers."""
    return element("div", *parts, class_="note", role="note")


def span(text: object, style: str) -> Html:
    """Return inline text in one of the styles `quiet`, `strong`, `nowrap`, `tag`."""
    return element("span", text, class_=style)


def code(text: object) -> Html:
    """Return inline text as it is typed: a name of a file, a recipe, an option."""
    return element("code", text)


def link(text: object, address: str) -> Html:
    """Return a link to the web; it opens only when a person asks. Other kinds of address stay text."""
    if not address.startswith(("https://", "http://", "#")):
        return element("span", text)
    return element("a", text, href=address, rel=None if address.startswith("#") else "noreferrer noopener")


def items(*entries: object) -> Html:
    """Return a list."""
    return element("ul", *(element("li", entry) for entry in entries))


def preformatted(text: str) -> Html:
    """Return text with its lines and spaces, such as an option file; it scrolls by itself where it is wide."""
    return element("pre", element("code", text), tabindex="0")


def definitions(entries: Mapping[str, object]) -> Html:
    """Return names and what they stand for, one below the other."""
    return element(
        "dl",
        *(join(element("dt", name), element("dd", value)) for name, value in entries.items()),
        class_="definitions",
    )


def details(summary: object, *blocks: object, opened: bool = False) -> Html:
    """Return blocks that are folded away below `summary`."""
    return element("details", element("summary", summary), element("div", *blocks, class_="details-body"), open_=opened)


def subsection(title: object, *blocks: object) -> Html:
    """Return blocks below a smaller heading."""
    return element("div", element("h3", title), *blocks, class_="subsection")


def grid(*blocks: object, wide: bool = False) -> Html:
    """Return blocks beside each other where there is room: small charts, cards of pictures; `wide`: larger cells."""
    return element("div", *blocks, class_="grid wide" if wide else "grid")


def text_block(*blocks: object) -> Html:
    """Return blocks as one."""
    return join(*blocks)
