"""The tables of a summary as Markdown, for a page or an issue, and as LaTeX, for a paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dmdnet.evaluation.published import published_sets, published_tables
from dmdnet.evaluation.published.numbers import READINGS, PublishedTable
from dmdnet.evaluation.reports import cells
from dmdnet.evaluation.reports.text_table import latex_table, latex_text, markdown_table, markdown_text
from dmdnet.evaluation.statistics.curves import Curve, Point, curves
from dmdnet.evaluation.statistics.summary_record import QUESTIONS, Question, SummaryRecord
from dmdnet.wording import counted

METRICS_PER_TABLE = 5
NOT_COMPARABLE = (
    "Read by other people, with other tools, mostly of other splits and degradations: to be looked at beside ours, "
    "table by table, and never as one ranking. A number of ours is comparable only where recipe and pictures are one."
)
Grid = tuple[list[str], list[list[str]]]


def markdown(records: Sequence[SummaryRecord]) -> str:
    """Return what the records say: means, coverage, differences, parts, curves, published numbers, recipes."""
    parts = ["# Results"]
    drawn = curves(records)
    for set_name in dict.fromkeys(record.set for record in records):
        mine = [record for record in records if record.set == set_name]
        parts += _markdown_set(set_name, mine, [curve for curve in drawn if curve.set == set_name])
    parts += _curves_markdown("Over the severity of the sets", [curve for curve in drawn if not curve.set])
    parts += ["## Recipes", markdown_table(["metric", "recipe", "better"], _recipes(records), left=3)]
    intervals = dict.fromkeys(r.interval for r in records if r.interval and not r.interval.startswith("none"))
    if intervals:
        parts.append("Intervals: " + markdown_text("; ".join(intervals)) + ".")
    return "\n\n".join(parts) + "\n"


def latex(records: Sequence[SummaryRecord]) -> str:
    """Return the means and the differences of every set as tables to input; they need the package booktabs."""
    parts = ["% \\usepackage{booktabs}"]
    for set_name in dict.fromkeys(record.set for record in records):
        whole = [record for record in records if record.set == set_name and record.of_whole_set]
        means, differences = _split(whole)
        coverage = _coverage_sentence(means)
        for number, chunk in enumerate(_chunks(means)):
            recipes = ", ".join(dict.fromkeys(record.recipe for record in chunk))
            caption = f"{set_name}. {coverage} Recipes: {recipes}. In brackets: {_interval_words(chunk)}."
            label = f"tab:{set_name}:{number + 1}"
            parts.append(latex_table(*_mean_grid(chunk), caption=caption, label=label))
        for question, of_question in _by_question(differences):
            caption = (
                f"{set_name}: {QUESTIONS[question]}. Mean difference, picture by picture; {_test_words(of_question)}."
            )
            label = f"tab:{set_name}:{question}"
            parts.append(latex_table(*_difference_grid(of_question), caption=caption, label=label, left=2))
        notes = [f"% {latex_text(line)}" for line in cells.footnotes(means, recipes=False)]
        parts += ["\n".join(notes)] if notes else []
    return "\n\n".join(parts) + "\n"


def _markdown_set(set_name: str, records: Sequence[SummaryRecord], drawn: Sequence[Curve]) -> list[str]:
    means, differences = _split([record for record in records if record.of_whole_set])
    parts = [f"## {markdown_text(set_name)}", markdown_text(_coverage_sentence(means))]
    parts += [markdown_table(*_mean_grid(chunk)) for chunk in _chunks(means)]
    notes = cells.footnotes(means, recipes=False)
    parts += ["\n".join(f"- {markdown_text(note)}" for note in notes)] if notes else []
    parts += ["### Coverage", markdown_table(*_coverage_grid(means))] if means else []
    for question, of_question in _by_question(differences):
        parts += [f"### Differences: {QUESTIONS[question]}", markdown_table(*_difference_grid(of_question), left=2)]
    if differences:
        parts.append(f"Picture by picture; {markdown_text(_test_words(differences))}. `*`: p <= {cells.SIGNIFICANT}.")
    parts += _parts_markdown(records)
    parts += _curves_markdown("Over the number of references", [c for c in drawn if c.over == "references"], 3)
    parts += _published_markdown(means)
    return parts


def _parts_markdown(records: Sequence[SummaryRecord]) -> list[str]:
    """Return a table per metric: methods by quarters of the input's own quality."""
    inside = [record for record in records if not record.of_whole_set and record.pair is None]
    if not inside:
        return []
    first = inside[0]
    parts = [f"### By the degraded input's own {markdown_text(first.group_metric)}"]
    groups = list(dict.fromkeys(record.group for record in inside))
    ranges = {record.group: record for record in inside}
    header = [f"{g} ({cells.number(ranges[g].group_low)} to {cells.number(ranges[g].group_high)})" for g in groups]
    for metric in dict.fromkeys(record.metric for record in inside):
        grid = {(record.method, record.group): record for record in inside if record.metric == metric}
        rows = [
            [method, *(cells.with_interval(grid[method, group]) for group in groups)]
            for method in dict.fromkeys(method for method, _ in grid)
        ]
        parts.append(markdown_table([cells.heading(next(iter(grid.values()))), *header], rows))
    return parts


def _curves_markdown(title: str, drawn: Sequence[Curve], level: int = 2) -> list[str]:
    parts = [f"{'#' * level} {title}"] if drawn else []
    for curve in drawn:
        xs = sorted({point.x for line in curve.lines for point in line.points})
        rows = []
        for line in curve.lines:
            of_x = {point.x: point for point in line.points}
            rows.append([line.name, *(_point(of_x[x]) if x in of_x else cells.NOTHING for x in xs)])
        arrow = "↑" if curve.higher_is_better else "↓"
        parts.append(markdown_table([f"{curve.metric} {arrow}", *(f"{x:g}" for x in xs)], rows))
        parts += [markdown_text(f"{curve.metric}: {curve.caution}.")] if curve.caution else []
    return parts


def _point(point: Point) -> str:
    if point.low is None or point.high is None:
        return cells.number(point.mean)
    return f"{cells.number(point.mean)} [{cells.number(point.low)}, {cells.number(point.high)}]"


def _published_markdown(means: Sequence[SummaryRecord]) -> list[str]:
    key = next((record.published for record in means if record.published), None)
    if key is None:
        return []
    facts = published_sets()[key]
    parts = [f"### Published numbers of {markdown_text(facts.title)}", NOT_COMPARABLE]
    parts += [markdown_text(facts.note[:1].upper() + facts.note[1:]) + "."] if facts.note else []
    for table in published_tables(key):
        parts += [f"**{markdown_text(table.title)}** ({markdown_text(_about(table))})"]
        header = ["", *(f"{metric}: {recipe}" for metric, recipe in table.metrics.items())]
        rows = [[method, *(table.cell(method, metric) for metric in table.metrics)] for method in table.numbers]
        parts.append(markdown_table(header, rows))
        ours = sorted({record.recipe for record in means} & set(table.metrics.values()))
        if ours:
            parts.append(f"Of the same recipe as ours: {markdown_text(', '.join(ours))}.")
        dropped = [
            f"{method}: {next(iter(row.values())).dropped} of {table.pictures} pictures failed and were dropped"
            for method, row in table.numbers.items()
            if next(iter(row.values())).dropped
        ]
        parts += [markdown_text("; ".join(dropped)) + "."] if dropped else []
    return parts


def _about(table: PublishedTable) -> str:
    pictures = counted(table.pictures, "picture") if table.pictures else ""
    return "; ".join(text for text in (READINGS[table.reading], pictures, table.split, table.note) if text)


def _split(records: Sequence[SummaryRecord]) -> tuple[list[SummaryRecord], list[SummaryRecord]]:
    means = [record for record in records if record.pair is None]
    return means, [record for record in records if record.pair is not None and record.n]


def _mean_grid(records: Sequence[SummaryRecord]) -> Grid:
    metrics = {record.metric: record for record in records}
    best = [cells.best([record for record in records if record.metric == metric]) for metric in metrics]
    grid = {(record.method, record.metric): record for record in records}

    def cell(record: SummaryRecord | None) -> str:
        if record is None:
            return cells.NOTHING
        return (
            f"**{cells.with_interval(record)}**" if any(record is one for one in best) else cells.with_interval(record)
        )

    rows = []
    for method in dict.fromkeys(record.method for record in records):
        of_method = [record for record in records if record.method == method]
        rows.append([method, *(cell(grid.get((method, metric))) for metric in metrics), cells.restored(of_method)])
    return ["method", *(cells.heading(record) for record in metrics.values()), "restored"], rows


def _difference_grid(records: Sequence[SummaryRecord]) -> Grid:
    rows = [
        [
            record.method,
            cells.heading(record),
            cells.with_interval(record, sign=True),
            cells.p_value(record.p_value),
            cells.p_value(record.p_adjusted) + cells.mark(record),
            str(record.n),
        ]
        for record in records
    ]
    return ["methods", "metric", "difference", "p", "adjusted p", "n"], rows


def _coverage_grid(means: Sequence[SummaryRecord]) -> Grid:
    rows = []
    for method in dict.fromkeys(record.method for record in means):
        mine = [record for record in means if record.method == method]
        first = mine[0]
        scored = sorted({record.n for record in mine if record.mean is not None} or {0})
        span = f"{scored[0]}" if len(scored) == 1 else f"{scored[0]} to {scored[-1]}"
        given = "" if first.references_given is None else f"{first.references_given:.2f}"
        counts = [str(first.n_no_references), str(first.n_unusable), str(first.n_pictures)]
        rows.append([method, cells.restored(mine), span, cells.failures(first), *counts, given])
    header = ["method", "restored", "scored", "failed", "no references", "unusable", "pictures", "references each"]
    return header, rows


def _coverage_sentence(means: Sequence[SummaryRecord]) -> str:
    if not means:
        return ""
    failed = "as the degraded input" if means[0].scored_as == "input" else "not at all"
    return f"{cells.size(means, ' of ')}; a picture that a method fails on is scored {failed}."


def _interval_words(records: Sequence[SummaryRecord]) -> str:
    found = dict.fromkeys(r.interval for r in records if r.ci_low is not None)
    return "; ".join(found) or "no intervals"


def _test_words(records: Sequence[SummaryRecord]) -> str:
    tests = dict.fromkeys(record.test for record in records if record.test and record.p_value is not None)
    return "; ".join([_interval_words(records), *tests])


def _by_question(records: Sequence[SummaryRecord]) -> list[tuple[Question, list[SummaryRecord]]]:
    found = [(question, [record for record in records if record.question == question]) for question in QUESTIONS]
    return [(question, of_question) for question, of_question in found if of_question]


def _recipes(records: Sequence[SummaryRecord]) -> list[list[str]]:
    found = {(r.metric, r.recipe): "higher" if r.higher_is_better else "lower" for r in records}
    return [[metric, recipe, better] for (metric, recipe), better in found.items()]


def _chunks(means: Sequence[SummaryRecord]) -> list[list[SummaryRecord]]:
    """Return the records in tables of a few metrics each."""
    metrics = cells.computed(means)
    groups = [metrics[start : start + METRICS_PER_TABLE] for start in range(0, len(metrics), METRICS_PER_TABLE)]
    return [[record for record in means if record.metric in group] for group in groups]


Writer = Callable[[Sequence[SummaryRecord]], str]
DOCUMENTS: dict[str, Writer] = {"tables.md": markdown, "tables.tex": latex}
