"""The comparison sheet: what each method made of the same faces, with eyes and mouth enlarged, in one picture.

One block per person: the faces, then both eyes, then the mouth, in the columns degraded, generic, specific, wrong
person, target, references. The enlarged parts use one box for all columns, so that they show the same place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dmdnet.evaluation.records import MetricInfo, Sample

TITLES = {
    "input": "degraded",
    "generic": "generic",
    "specific": "specific",
    "wrong_person": "wrong person",
    "target": "target",
    "references": "references",
}
CELL = 240
GAP = 6
MARGIN = 18
HEADER = 38
CAPTION = 24
BLOCK_GAP = 16
_BACKGROUND, _INK, _FAINT, _BEST, _RULE = (255, 255, 255), (25, 28, 33), (110, 116, 125), (10, 110, 60), (222, 225, 230)
LEFT_EYE, RIGHT_EYE, MOUTH = 0, 1, 3


@dataclass(frozen=True)
class Layout:
    """Sizes in pixels of a sheet with `columns` columns and `rows` people."""

    columns: int
    rows: int

    @property
    def block(self) -> int:
        """Height of one person's block: face, caption, eyes, mouth."""
        return CELL + CAPTION + CELL // 2 + GAP + CELL // 2 + GAP + BLOCK_GAP

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the sheet."""
        width = 2 * MARGIN + self.columns * CELL + (self.columns - 1) * GAP
        return width, HEADER + MARGIN + self.rows * self.block


def comparison_sheet(samples: Sequence[Sample], metrics: Sequence[MetricInfo] = ()) -> np.ndarray:
    """Return the sheet, uint8 RGB (H, W, 3).

    Args:
        samples: at least one; see `Sample`.
        metrics: what may be written below a face: the first over the components, else the first.

    Raises:
        ValueError: no samples.
    """
    if not samples:
        raise ValueError("a comparison sheet needs at least one sample")
    columns = _columns(samples)
    layout = Layout(len(columns), len(samples))
    canvas = Image.new("RGB", layout.size, _BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    for index, column in enumerate(columns):
        centre = _left(index) + CELL // 2
        pen.text((centre, HEADER // 2 + 4), TITLES.get(column, column), _INK, _font(19), anchor="mm")
    metric = next((metric for metric in metrics if metric.recipe.endswith("/components")), next(iter(metrics), None))
    for row, sample in enumerate(samples):
        top = HEADER + row * layout.block
        if row:
            pen.line((MARGIN, top - BLOCK_GAP // 2, layout.size[0] - MARGIN, top - BLOCK_GAP // 2), _RULE, 1)
        _draw_block(canvas, pen, top, sample, columns, metric)
    return np.asarray(canvas)


def _columns(samples: Sequence[Sample]) -> list[str]:
    columns = list(dict.fromkeys(method for sample in samples for method in sample.pictures))
    if any(sample.target is not None for sample in samples):
        columns.append("target")
    if any(len(sample.references) for sample in samples):
        columns.append("references")
    return columns


def _draw_block(
    canvas: Image.Image,
    pen: ImageDraw.ImageDraw,
    top: int,
    sample: Sample,
    columns: Sequence[str],
    metric: MetricInfo | None,
) -> None:
    eyes_top = top + CELL + CAPTION
    mouth_top = eyes_top + CELL // 2 + GAP
    captions = _captions(sample, metric)
    for index, column in enumerate(columns):
        left = _left(index)
        picture, boxes, thumbnail = _content(sample, column)
        if picture is None:
            continue
        canvas.paste(thumbnail, (left, top))
        canvas.paste(_eyes(picture, boxes), (left, eyes_top))
        canvas.paste(_part(picture, boxes[MOUTH], CELL, CELL // 2), (left, mouth_top))
        text, ink = captions.get(column, ("", _FAINT))
        pen.text((left + CELL // 2, top + CELL + CAPTION // 2), text, ink, _font(14), anchor="mm")


def _content(sample: Sample, column: str) -> tuple[np.ndarray | None, np.ndarray, Image.Image]:
    """Return a column's picture, its boxes, and what stands in the row of faces."""
    if column == "references":
        if not len(sample.references):
            return None, sample.boxes, Image.new("RGB", (1, 1))
        return sample.references[0], sample.reference_boxes[0], _mosaic(sample.references)
    picture = sample.target if column == "target" else sample.pictures.get(column)
    if picture is None:
        return None, sample.boxes, Image.new("RGB", (1, 1))
    return picture, sample.boxes, _resized(Image.fromarray(picture), CELL, CELL)


def _captions(sample: Sample, metric: MetricInfo | None) -> dict[str, tuple[str, tuple[int, int, int]]]:
    """Return column -> text below the face and its colour; the best method stands out."""
    named = sample.name.startswith(sample.identity)
    captions = {"target": (_shortened(sample.name if named else f"{sample.identity} · {sample.name}"), _FAINT)}
    if len(sample.references):
        captions["references"] = ("the first one, enlarged below", _FAINT)
    if metric is None:
        return captions
    sign = 1 if metric.higher_is_better else -1
    values = {method: found.get(metric.name, math.nan) for method, found in sample.values.items()}
    scored = {method: value for method, value in values.items() if not math.isnan(value)}
    best = max(scored, key=lambda method: sign * scored[method], default=None)
    for method, value in scored.items():
        captions[method] = (f"{metric.name} {value:.2f}", _BEST if method == best else _FAINT)
    return captions


def _shortened(text: str, limit: int = 30) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\n", " ")
    return text if len(text) <= limit else f"...{text[-limit + 3 :]}"


def _eyes(picture: np.ndarray, boxes: np.ndarray) -> Image.Image:
    """Return both eyes side by side, CELL x CELL/2."""
    strip = Image.new("RGB", (CELL, CELL // 2), _BACKGROUND)
    half = CELL // 2 - 1
    strip.paste(_part(picture, boxes[LEFT_EYE], half, CELL // 2), (0, 0))
    strip.paste(_part(picture, boxes[RIGHT_EYE], half, CELL // 2), (CELL - half, 0))
    return strip


def _part(picture: np.ndarray, box: np.ndarray, width: int, height: int) -> Image.Image:
    """Return the surroundings of a box in the shape width x height, enlarged; grey where there is no box."""
    x0, y0, x1, y1 = (float(value) for value in box)
    if x1 <= x0 or y1 <= y0:
        return Image.new("RGB", (width, height), _RULE)
    # the mouth's box is square: of its height, the middle that the wider shape holds is what matters
    shown = max((x1 - x0), (y1 - y0) * 0.5 * width / height)
    half_x, half_y = shown / 2, shown / 2 * height / width
    centre_x, centre_y = (x0 + x1) / 2, (y0 + y1) / 2
    area = (centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y)
    sampling = Image.Resampling.BICUBIC
    return Image.fromarray(picture).transform((width, height), Image.Transform.EXTENT, area, sampling)


def _mosaic(references: np.ndarray) -> Image.Image:
    """Return up to four references in one square."""
    if len(references) == 1:
        return _resized(Image.fromarray(references[0]), CELL, CELL)
    square = Image.new("RGB", (CELL, CELL), _BACKGROUND)
    half = CELL // 2 - 1
    for index, reference in enumerate(references[:4]):
        small = _resized(Image.fromarray(reference), half, half)
        square.paste(small, ((index % 2) * (CELL - half), (index // 2) * (CELL - half)))
    return square


def _resized(picture: Image.Image, width: int, height: int) -> Image.Image:
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _left(column: int) -> int:
    return MARGIN + column * (CELL + GAP)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
