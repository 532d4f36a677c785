"""A page: sections with a table of contents, its style and its script, all in one file."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources

from dmdnet.html.markup import Html, element, escape, join


class Page:
    """A page that is built section by section.

    The page may load nothing: its content security policy names the one style and the one script that it holds by
    their hashes, and pictures that are part of the file. A name that got through unescaped could still do nothing.

    Args:
        title: of the page and of the browser's tab.
        subtitle: a line below it.
        footer: the last line.
        language: of the text.
    """

    def __init__(self, title: str, *, subtitle: object = "", footer: object = "", language: str = "en") -> None:
        self.title = title
        self.subtitle = subtitle
        self.footer = footer
        self.language = language
        self._sections: list[tuple[str, str, Html, int]] = []

    def add(self, title: str, *blocks: object, level: int = 1, anchor: str = "") -> Page:
        """Append a section and return the page; `level` 2 indents it in the contents, `#anchor` links to it."""
        taken = {known for known, *_ in self._sections}
        stem = re.sub(r"[^a-z0-9]+", "-", (anchor or title).lower()).strip("-") or "section"
        anchor, number = stem, 2
        while anchor in taken:
            anchor, number = f"{stem}-{number}", number + 1
        self._sections.append((anchor, title, join(*blocks), level))
        return self

    def render(self) -> str:
        """Return the page."""
        style, script = _asset("page.css"), _asset("page.js")
        policy = (
            f"default-src 'none'; img-src data:; style-src 'sha256-{_digest(style)}'; "
            f"script-src 'sha256-{_digest(script)}'; base-uri 'none'; form-action 'none'"
        )
        head = join(
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=policy),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="referrer", content="no-referrer"),
            element("title", self.title),
            element("link", rel="icon", href="data:,"),
            element("style", Html(style)),
        )
        body = join(
            element("a", "Skip to the content", class_="skip", href="#content"),
            element(
                "header",
                element("h1", self.title),
                element("p", self.subtitle, class_="subtitle") if self.subtitle else None,
            ),
            element("div", self._contents(), element("main", *self._bodies(), id="content"), class_="columns"),
            element("footer", self.footer) if self.footer else None,
            element("script", Html(script)),
        )
        page = element("html", element("head", head), element("body", body), lang=self.language)
        return f"<!DOCTYPE html>\n{page}\n"

    def _contents(self) -> Html | None:
        if len(self._sections) < 2:
            return None
        entries = [
            element("li", element("a", title, href=f"#{anchor}"), class_="deeper" if level > 1 else None)
            for anchor, title, _, level in self._sections
        ]
        return element("nav", element("ul", *entries), aria_label="Contents")

    def _bodies(self) -> list[Html]:
        return [
            element("section", element("h2", escape(title)), blocks, id=anchor)
            for anchor, title, blocks, _ in self._sections
        ]


@cache
def _asset(name: str) -> str:
    return resources.files("dmdnet.html").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
