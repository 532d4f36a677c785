"""Pictures of a set under sliders: the best, the usual and the worst, with the references that were given.

Where nothing was scored, some of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dmdnet.evaluation.exhibits import Choice, Exhibit
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.reports.html_report.plots import Kinds
from dmdnet.html import Html, Shown, compare, element, format_number, grid, paragraph, picture, span
from dmdnet.wording import counted

REFERENCE_WIDTH = 112
WORDS = {"best": "Best", "median": "Median", "worst": "Worst", "unscored": "Picture"}


def gallery(evaluation: Evaluation, exhibits: Sequence[Exhibit], width: int) -> list[Html]:
    """Return a card for each exhibit; nothing where there are none.

    Args:
        width: pixels that pictures are scaled down to.
    """
    if not exhibits:
        return []
    ordered = sorted(exhibits, key=lambda exhibit: list(WORDS).index(exhibit.choice.role))
    cards = [_card(evaluation, exhibit, width) for exhibit in ordered]
    return [paragraph(_explain(exhibits[0].choice), quiet=True), grid(*cards)]


def _explain(choice: Choice) -> str:
    all_of_them = f"the {counted(choice.of, 'picture')} that {choice.method} restored"
    moving = (
        "Move the line by pointer or arrow keys; choose a picture below to have it right of it, with Shift left of it."
    )
    if choice.role == "unscored":
        return f"No metric scored pictures one by one: these are taken evenly by name from {all_of_them}. {moving}"
    metric = choice.metric
    return f"Chosen by {metric} of {choice.method} alone, among {all_of_them}. {moving} Numbers: {metric}."


def _card(evaluation: Evaluation, exhibit: Exhibit, width: int) -> Html:
    choice, sample = exhibit.choice, exhibit.sample
    inputs = Kinds.of([evaluation]).inputs
    names = [name for name in evaluation.methods if name in sample.pictures]
    shown = [Shown(sample.pictures[name], name, below=_value(exhibit, name)) for name in names]
    if sample.target is not None:
        shown.append(Shown(sample.target, "ground truth"))
    if len(shown) < 2:
        return element("article", picture(shown[0].rgb, f"{shown[0].label}: {sample.name}", width=width))
    left = next((index for index, name in enumerate(names) if name in inputs), 0)
    right = names.index(choice.method) if choice.method in names else len(shown) - 1
    if left == right:
        right = (left + 1) % len(shown)
    title = sample.name if sample.name.startswith(sample.identity) else f"{sample.identity} · {sample.name}"
    return element(
        "article",
        element("h4", WORDS[choice.role], " ", span(f"{choice.place:,} of {choice.of:,}", "quiet")),
        paragraph(title, quiet=True),
        compare(shown, alt=title, left=left, right=right, width=width),
        _references(exhibit),
        class_="card",
    )


def _references(exhibit: Exhibit) -> Html | None:
    references = exhibit.sample.references
    if not len(references):
        return None
    pictures = [
        picture(rgb, f"reference {number} of {exhibit.sample.identity}", width=REFERENCE_WIDTH)
        for number, rgb in enumerate(references, start=1)
    ]
    return element(
        "figure",
        element("div", *pictures, class_="references"),
        element("figcaption", "reference" if len(references) == 1 else "the first references"),
    )


def _value(exhibit: Exhibit, method: str) -> str:
    value = exhibit.sample.values.get(method, {}).get(exhibit.choice.metric, math.nan)
    return "" if math.isnan(value) else format_number(value)
