"""Text to markup. A plain string is always escaped; only what these functions made is not."""

from __future__ import annotations

import html
import re

VOID = frozenset(
    {"img", "input", "wbr", "meta", "link", "br", "hr", "path", "line", "circle", "rect", "polyline", "polygon"}
)
# What shows nothing and can change what is read: control characters, and marks that turn the direction of writing.
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


class Html(str):
    """Markup that is finished. Adding to it or formatting it gives a plain string again, which is escaped."""

    __slots__ = ()


def escape(text: object) -> Html:
    """Return text as markup, in an element or in a quoted attribute alike; markup stays what it is.

    Characters that cannot be seen, and bytes of file names that are no text, are written out as backslash escapes.
    """
    if isinstance(text, Html):
        return text
    visible = _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))
    return Html(html.escape(visible.encode("utf-8", "backslashreplace").decode(), quote=True))


def join(*parts: object, between: str = "") -> Html:
    """Return the parts one after the other; None is left out."""
    return Html(escape(between).join(escape(part) for part in parts if part is not None))


def element(name: str, /, *children: object, **attributes: object) -> Html:
    """Return `<name ...>children</name>`.

    Args:
        children: text, which is escaped, or `Html`.
        attributes: `class_` is class, `aria_label` is aria-label; None and False are left out, True stands bare.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID and not children:
        return Html(f"<{name}{written}/>")
    return Html(f"<{name}{written}>{join(*children)}</{name}>")
