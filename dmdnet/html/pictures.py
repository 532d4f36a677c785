"""Pictures inside the page, and two of them under a slider."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dmdnet.html.markup import Html, element, join

QUALITY = 88


@dataclass(frozen=True)
class Shown:
    """A picture with its words.

    Attributes:
        rgb: uint8 (H, W, 3).
        label: a word or two, such as the method.
        alt: what the picture shows, for who cannot see it.
        below: a line under the label, such as its value.
    """

    rgb: np.ndarray
    label: str
    alt: str = ""
    below: str = ""


def encode_picture(rgb: np.ndarray, *, width: int | None = None, quality: int = QUALITY) -> tuple[str, int, int]:
    """Return a `data:` address of a WebP, and its width and height; larger pictures are scaled down to `width`.

    Raises:
        ValueError: not uint8 (H, W, 3).
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise ValueError(f"a picture is uint8 (H, W, 3), not {rgb.dtype} {rgb.shape}")
    image = Image.fromarray(np.ascontiguousarray(rgb))
    if width is not None and image.width > width:
        image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}", image.width, image.height


def picture(rgb: np.ndarray, alt: str, *, width: int | None = None, caption: object = "") -> Html:
    """Return a picture, scaled down to `width` pixels where it is larger, with a caption below it.

    Args:
        rgb: uint8 (H, W, 3).
        alt: what it shows.
    """
    made = _image(rgb, alt, width)
    if not caption:
        return made
    return element("figure", made, element("figcaption", caption), class_="picture")


def slider(
    before: np.ndarray,
    after: np.ndarray,
    *,
    before_label: str = "before",
    after_label: str = "after",
    alt: str = "",
    width: int | None = 384,
) -> Html:
    """Return two pictures over each other with a line between them that pointer and arrow keys move."""
    return compare([Shown(before, before_label, alt), Shown(after, after_label, alt)], alt=alt, width=width)


def compare(
    pictures: Sequence[Shown], *, alt: str = "", left: int = 0, right: int = 1, width: int | None = 384
) -> Html:
    """Return several pictures of one thing, two of them under a slider; a click on another puts it right of the line.

    Every picture is in the page once. Without a script the pictures stand beside each other.

    Args:
        pictures: two or more.
        alt: what all of them show, such as whose face.
        left, right: which two are seen first.
        width: pixels that a picture is scaled down to.

    Raises:
        ValueError: fewer than two pictures.
    """
    if len(pictures) < 2:
        raise ValueError("a slider compares two pictures or more")
    strip = [_choice(shown, alt, width, index == left, index == right) for index, shown in enumerate(pictures)]
    return element(
        "div", element("div", *strip, class_="strip"), class_="compare", data_alt=alt or "the picture", role="group",
        aria_label=f"Compare pictures: {alt}" if alt else "Compare pictures",
    )  # fmt: skip


def _choice(shown: Shown, alt: str, width: int | None, left: bool, right: bool) -> Html:
    described = shown.alt or alt
    return element(
        "figure",
        _image(shown.rgb, f"{shown.label}: {described}" if described else shown.label, width),
        element(
            "figcaption",
            element("span", _breakable(shown.label), class_="label"),
            element("span", shown.below, class_="below"),
        ),
        data_left=left,
        data_right=right,
    )


def _breakable(label: str) -> Html:
    """Let a name be broken behind what joins its parts."""
    parts = re.split(r"(?<=[_@/.-])", label)
    return join(*(part for part in parts if part), between=element("wbr"))


def _image(rgb: np.ndarray, alt: str, width: int | None) -> Html:
    address, wide, high = encode_picture(rgb, width=width)
    return element("img", src=address, alt=alt, width=wide, height=high, decoding="async")
