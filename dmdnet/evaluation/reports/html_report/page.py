"""The whole page: an overview, a section for each set, curves across sets, and how all of it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dmdnet.evaluation.exhibits import Exhibit
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.reports.html_report.beside import published_blocks
from dmdnet.evaluation.reports.html_report.facts import Facts
from dmdnet.evaluation.reports.html_report.gallery import gallery
from dmdnet.evaluation.reports.html_report.numbers import differences, failures, means, people
from dmdnet.evaluation.reports.html_report.overview import overview, set_anchor
from dmdnet.evaluation.reports.html_report.plots import Kinds, curve_charts, mean_charts
from dmdnet.evaluation.reports.html_report.provenance import provenance
from dmdnet.evaluation.statistics.curves import curves
from dmdnet.evaluation.statistics.summary_record import SummaryRecord
from dmdnet.files import write_bytes
from dmdnet.html import Html, Page, join, subsection
from dmdnet.wording import counted

REPORT = "report.html"
MAX_BYTES = 5_000_000
WIDTHS = (384, 288, 208, 144)  # of pictures, in pixels: the first with which the page is light enough
Exhibits = Mapping[str, Sequence[Exhibit]]


def write_html_report(
    evaluations: Sequence[Evaluation],
    records: Sequence[SummaryRecord],
    out_dir: Path,
    *,
    name: str,
    facts: Facts,
    exhibits: Exhibits | None = None,
) -> Path:
    """Write `report.html` into the folder of the results, atomically, and return its path.

    Args:
        evaluations: of all sets; their pictures give what the records do not say of single people and failures.
        records: of `summary.json`.
        name: of the run.
        facts: what the numbers depend on.
        exhibits: name of a set -> pictures to show.

    Raises:
        DataError: the folder cannot be written.
    """
    page = ""
    for width in WIDTHS:
        page = report_page(evaluations, records, name=name, facts=facts, exhibits=exhibits or {}, picture_width=width)
        if len(page) <= MAX_BYTES:
            break
    return write_bytes(out_dir / REPORT, page.encode())


def report_page(
    evaluations: Sequence[Evaluation],
    records: Sequence[SummaryRecord],
    *,
    name: str,
    facts: Facts,
    exhibits: Exhibits,
    picture_width: int = WIDTHS[0],
) -> str:
    """Return the page; see `write_html_report`. Pictures are scaled down to `picture_width` pixels."""
    kinds = Kinds.of(evaluations)
    drawn = curves(records)
    page = Page(name, subtitle=_subtitle(evaluations, facts), footer=facts.made_with)
    page.add("Overview", *overview(evaluations, records))
    for number, evaluation in enumerate(evaluations, start=1):
        mine = [record for record in records if record.set == evaluation.set_name]
        shown = exhibits.get(evaluation.set_name, ())
        parts: dict[str, Sequence[Html]] = {
            "Means": means(mine),
            "Means with their intervals": mean_charts(mine, kinds),
            "Differences": differences(mine),
            "Curves": curve_charts([curve for curve in drawn if curve.set == evaluation.set_name], kinds),
            "Pictures": gallery(evaluation, shown, picture_width),
            "Person by person": people(evaluation),
            "Failures": failures(evaluation),
            "Published numbers": published_blocks(evaluation, mine),
        }
        blocks = [subsection(title, *content) for title, content in parts.items() if content]
        page.add(evaluation.set_name, *blocks, anchor=set_anchor(number))
    across = curve_charts([curve for curve in drawn if not curve.set], kinds)
    if across:
        page.add("Across sets", *across)
    page.add("How the numbers were made", *provenance(evaluations, records, facts))
    return page.render()


def _subtitle(evaluations: Sequence[Evaluation], facts: Facts) -> Html:
    methods = len(dict.fromkeys(method for evaluation in evaluations for method in evaluation.methods))
    pictures = sum(evaluation.n_pictures for evaluation in evaluations)
    told = f"{counted(methods, 'method')} on {counted(len(evaluations), 'set')}, {counted(pictures, 'picture')}"
    return join(*(part for part in (told, facts.when) if part), between=" · ")
