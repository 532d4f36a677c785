"""The last section: recipes, statistics, weights, data, versions, options: what it takes to get the numbers again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dmdnet.evaluation.records import Evaluation, MetricInfo
from dmdnet.evaluation.reports.html_report.facts import Facts, SetFacts, names_digest
from dmdnet.evaluation.statistics.summary_record import SummaryRecord
from dmdnet.html import Html, code, definitions, details, element, items, paragraph, preformatted, subsection, table

FILES = {
    "summary.json": "every number of this page with its recipe, interval, coverage and tests",
    "<set>_pictures.csv": "every picture by every method: values, status, why it failed",
    "<set>_identities.csv": "every person's means",
    "tables.md, tables.tex": "the tables for a README or a paper",
    "options.yml": "the options in full",
}


def provenance(evaluations: Sequence[Evaluation], records: Sequence[SummaryRecord], facts: Facts) -> list[Html]:
    """Return everything that the numbers depend on."""
    intervals = dict.fromkeys(record.interval for record in records if record.interval and record.of_whole_set)
    blocks = [
        paragraph(
            "To cite a number, give with it its recipe, the set and the SHA-256 of its names, the coverage, and the "
            "version: numbers of different recipes or pictures are not comparable."
        ),
        subsection("Metrics", _metrics(evaluations)),
        subsection(
            "Statistics",
            paragraph(
                "Means are over pictures. Intervals resample people, not pictures: pictures of one person are alike. "
                f"Everything random comes from seed {facts.seed}."
            ),
            items(*intervals) if intervals else None,
        ),
        subsection("Weights", *_weights(evaluations)),
        subsection("Data", *(_data(evaluation, facts) for evaluation in evaluations)),
        subsection("Versions and machine", definitions(_environment(facts))),
    ]
    if facts.options:
        blocks.append(subsection("Options", details("options.yml", preformatted(facts.options))))
    blocks.append(subsection("Files beside this page", definitions(FILES)))
    return blocks


def _metrics(evaluations: Sequence[Evaluation]) -> Html:
    infos = {metric.name: metric for evaluation in evaluations for metric in evaluation.metrics}
    rows = [
        (info.name, code(info.recipe), "higher" if info.higher_is_better else "lower", _remark(info))
        for info in infos.values()
    ]
    return table(("metric", "recipe", "better", "remarks"), rows, label="Recipes of the metrics", sortable=False)


def _remark(info: MetricInfo) -> str:
    if info.unavailable:
        return f"not computed: {info.unavailable}"
    parts = ("one number for the whole set" if info.of_set else "", info.undefined and f"no value: {info.undefined}")
    return "; ".join(part for part in parts if part)


def _weights(evaluations: Sequence[Evaluation]) -> list[Html]:
    """Return the files of methods and of metrics with their checksums, each once."""
    files: dict[tuple[str, str], dict[str, None]] = {}
    for evaluation in evaluations:
        for info in evaluation.infos:
            if info.sha256:
                files.setdefault((info.source, info.sha256), {})[info.name] = None
    for evaluation in evaluations:
        for metric in evaluation.metrics:
            for file, sha256 in metric.weights.items():
                files.setdefault((file, sha256), {})[metric.name] = None
    if not files:
        return [paragraph("No method and no metric has weights.")]
    rows = [(code(source), ", ".join(users), code(sha256)) for (source, sha256), users in files.items()]
    return [table(("file", "used by", "SHA-256"), rows, label="Weights", sortable=False)]


def _data(evaluation: Evaluation, facts: Facts) -> Html:
    identities = {record.identity for record in evaluation.pictures} | {p.identity for p in evaluation.unusable}
    entries: dict[str, object] = {"set": evaluation.set_name}
    known = facts.data.get(evaluation.set_name, SetFacts())
    if known.origin:
        entries["table of faces"] = code(known.origin)
    entries["pictures"] = f"{evaluation.n_pictures:,}, of which {len(evaluation.unusable):,} cannot be read"
    entries["people"] = f"{len(identities):,}"
    entries["SHA-256 of the names"] = code(names_digest(evaluation))
    if known.contents is not None:
        entries["files"] = f"{known.contents.files:,}, {known.contents.size / 1e6:,.1f} MB, references included"
        entries["SHA-256 of the files"] = code(known.contents.sha256 or known.contents.note)
    return definitions(entries)


def _environment(facts: Facts) -> Mapping[str, object]:
    found: dict[str, Any] = dict(facts.environment)
    shown: dict[str, object] = {"device": facts.device} if facts.device else {}
    shown |= found.pop("packages", {})
    for name, value in found.items():
        if isinstance(value, (list, tuple)):
            value = ", ".join(map(str, value))
        if value not in (None, ""):
            shown[name] = element("span", value)
    return shown
