"""The tables of a summary in the terminal, in Markdown, in LaTeX, and the CSV of people."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from known_evaluations import INFOS, METRICS, made_evaluation

from dmdnet.evaluation.records import MethodInfo, MetricInfo
from dmdnet.evaluation.reports import cells
from dmdnet.evaluation.reports.csv_files import identities_csv, pictures_csv
from dmdnet.evaluation.reports.documents import NOT_COMPARABLE, latex, markdown
from dmdnet.evaluation.reports.terminal import as_text
from dmdnet.evaluation.statistics.summary import summarise

EVALUATION = made_evaluation(published="ffhq_ref_severe")
RECORDS = summarise(EVALUATION)
MANY = made_evaluation(
    infos=(*INFOS, *(MethodInfo(f"another_tool_{n}_with_a_long_name", "folder", entry=f"f{n}") for n in range(7))),
    metrics=(*METRICS[:2], *(MetricInfo(f"metric_number_{n}", f"recipe{n}", True) for n in range(14))),
    set_values={},
)


def table_rows(text, first):
    """The cells of Markdown rows that begin with `first`."""
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(f"| {first} |")]


def test_the_terminal_stays_within_its_width():
    text = as_text(summarise(MANY))
    assert max(map(len, text.splitlines())) <= 100
    for name in (
        "ours_wrong_person@3",
        "another_tool_6_with_a_long_name",
        "metric_number_13",
        "methods against each other",
    ):
        assert name in text
    assert "..." not in text
    assert "…" not in text
    assert re.search(r"and \d+ more pairs: tables.md", text)
    assert "differences by metric_number_" in text
    assert len(text.splitlines()) < 250


def test_the_terminal_shows_differences_with_intervals_where_they_are_few():
    text = as_text(RECORDS)
    record = next(r for r in RECORDS if r.method == "theirs - input" and r.metric == "psnr")
    line = next(line for line in text.splitlines() if "theirs - input" in line)
    assert line.split()[3:] == [
        "psnr", f"{record.mean:+.3f}", f"{record.ci_low:+.3f}", "..", f"{record.ci_high:+.3f}", "0.004", "yes",
    ]  # fmt: skip
    assert "theirs: 1 failed (1 missing), scored as the degraded input" in text
    assert "ids: not computed: w600k_r50.pth is missing" in text
    assert "1 picture of the set could not be read" in text
    assert "not ranked" in text


def test_methods_on_different_pictures_have_no_best():
    of_metric = [r for r in RECORDS if r.metric == "psnr" and r.kind == "mean" and r.of_whole_set]
    assert cells.best(of_metric) is None
    same = [r for r in of_metric if r.n == 48]
    assert cells.best(same).method == "theirs"
    assert "not ranked" not in " ".join(cells.footnotes(same))


def test_markdown_has_every_number_of_the_summary():
    text = markdown(RECORDS)
    for record in RECORDS:
        if record.mean is not None and record.pair is None:
            assert cells.with_interval(record).replace("[", "\\[").replace("]", "\\]") in text
        elif record.mean is not None and record.of_whole_set:
            assert cells.with_interval(record, sign=True).replace("[", "\\[").replace("]", "\\]") in text
    assert "| ours specific |" in text  # the curve over references
    assert "w600k\\_r50.pth is missing" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) >= 3 for row in rows)


def test_published_numbers_stand_apart_from_ours():
    text = markdown(RECORDS)
    ours, _, theirs = text.partition("### Published numbers of FFHQ-Ref, severe")
    assert NOT_COMPARABLE in theirs
    assert "ReF-LDM" not in ours
    assert not re.search(r"\| (ours\\_|theirs)", theirs)
    assert table_rows(theirs, "DMDNet")[-1] == ["DMDNet", "0.185", "0.162", "0.511", "72.66"]
    assert "214 of 857 pictures failed and were dropped" in theirs
    assert "Of the same recipe as ours: lpips@vgg" in theirs
    assert "Published" not in markdown(summarise(made_evaluation()))


def test_latex_is_balanced_and_escaped():
    text = latex(summarise(replace(EVALUATION, set_name="50%_of{it}\\")))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") > 5
    assert r"50\%\_of\{it\}\textbackslash{}" in text
    bare = re.sub(r"\\[\\{}$&#_%]", "", text)
    assert bare.count("{") == bare.count("}")
    for table in text.split(r"\begin{tabular}")[1:]:
        body = table[: table.index(r"\end{tabular}")]
        columns = len(body[1 : body.index("}")])
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {columns}
    labels = re.findall(r"\\label\{(.*)\}", text)
    assert len(labels) == len(set(labels))


def test_the_best_is_bold():
    even = made_evaluation(infos=(INFOS[0], INFOS[1]), set_values={})
    records = summarise(even)
    best = next(r for r in records if r.method == "ours_generic" and r.metric == "psnr" and r.of_whole_set)
    assert f"**{cells.with_interval(best)}**".replace("[", "\\[").replace("]", "\\]") in markdown(records)
    assert rf"\textbf{{{cells.with_interval(best)}}}" in latex(records)


def test_the_csv_of_people():
    rows = list(csv.DictReader(io.StringIO(identities_csv(EVALUATION))))
    assert len(rows) == 12 * len(INFOS)
    assert "ids" not in rows[0]
    row = next(r for r in rows if (r["identity"], r["method"]) == ("000", "ours_specific@3"))
    values = [p.values["psnr"] for p in EVALUATION.of_method("ours_specific@3") if p.identity == "000"]
    assert float(row["psnr"]) == pytest.approx(np.nanmean(values))
    assert (row["pictures"], row["no_references"], row["failed"], row["psnr_n"]) == ("4", "1", "0", "3")
    dropped = csv.DictReader(io.StringIO(identities_csv(replace(EVALUATION, failed_as="drop"))))
    theirs = next(r for r in dropped if (r["identity"], r["method"]) == ("000", "theirs"))
    assert (theirs["failed"], theirs["psnr_n"]) == ("1", "3")


def test_the_means_of_people_give_the_mean_of_the_summary():
    rows = [r for r in csv.DictReader(io.StringIO(identities_csv(EVALUATION))) if r["method"] == "theirs"]
    total = sum(float(row["psnr"]) * int(row["psnr_n"]) for row in rows) / sum(int(row["psnr_n"]) for row in rows)
    record = next(r for r in RECORDS if (r.method, r.metric, r.group) == ("theirs", "psnr", ""))
    assert record.mean == pytest.approx(total)


def test_the_csv_of_pictures_has_unusable_ones_and_reasons():
    rows = list(csv.DictReader(io.StringIO(pictures_csv(EVALUATION))))
    assert len(rows) == 48 * len(INFOS) + 1
    lost = rows[-1]
    assert (lost["name"], lost["method"], lost["status"], lost["reason"]) == ("000/9.png", "", "unusable", "unreadable")
    failed = [row for row in rows if row["status"] == "failed"]
    assert [(row["method"], row["reason"], row["note"]) for row in failed] == [("theirs", "missing", "no such file")]


def test_a_difference_that_only_the_interval_sees_may_be_one():
    records = summarise(made_evaluation(people=4))
    record = next(r for r in records if r.method == "theirs - input" and r.metric == "psnr")
    assert record.beyond_noise
    assert record.p_adjusted > 0.05
    assert cells.verdict(record) == "maybe"
    assert "maybe: the interval excludes zero, the corrected test does not" in as_text(records)
    assert cells.verdict(replace(record, p_adjusted=0.01)) == "yes"
    assert cells.verdict(replace(record, ci_low=-1.0, ci_high=1.0)) == "no"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.0, "0.000"), (-0.0, "0.000"), (1.23456, "+1.235"), (-2.3e-5, "-2e-05"), (0.0005, "+0.001")],
)
def test_signed_numbers(value, shown):
    assert cells.signed(value) == shown
