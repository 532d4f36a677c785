"""summary.json, the CSV, the table and the sheet."""

import csv
import json
import math
from dataclasses import replace

import pytest
from fake_sets import batch_of, batches, decibels, picture, restore

from dmdnet.errors import DataError
from dmdnet.evaluation import Evaluation, PictureRecord, evaluate, summarise
from dmdnet.evaluation.records import MetricInfo
from dmdnet.evaluation.reports.cells import best
from dmdnet.evaluation.reports.documents import DOCUMENTS
from dmdnet.evaluation.reports.report import summary_json, write_report
from dmdnet.evaluation.reports.sheet import CAPTION, CELL, GAP, HEADER, Layout, _left, comparison_sheet
from dmdnet.evaluation.reports.terminal import as_text, print_report
from dmdnet.images import read_image
from dmdnet.metrics.psnr import PSNR
from dmdnet.metrics.ssim import SSIM

METRICS = {"psnr": PSNR(), "ssim_components": SSIM(region="components")}
KEYS = {
    "kind", "set", "method", "metric", "recipe", "higher_is_better", "mean", "ci_low", "ci_high",
    "n", "n_identities", "n_pictures", "n_failed", "coverage", "interval", "failures", "scored_as", "n_no_references",
    "n_undefined", "n_unusable", "pair", "question", "p_value", "p_adjusted", "test", "entry", "mode", "references",
    "references_given", "severity", "published", "group_by", "group", "group_metric", "group_low", "group_high",
    "seed", "note", "pictures", "weights",
}  # fmt: skip


def evaluation(method=restore, loader=None, **options):
    loader = batches() if loader is None else loader
    return evaluate(method, loader, metrics=METRICS, set_name="faces", **options)


def record(method, number, value, status="ok"):
    return PictureRecord(method, str(number), f"{number}.png", 0, status, "", {"m": value})


def made(values_of_methods, higher_is_better=True):
    """An evaluation with these values of one metric; one picture per person."""
    pictures = [
        record(method, number, value)
        for method, values in values_of_methods.items()
        for number, value in enumerate(values)
    ]
    info = MetricInfo("m", "m@rgb", higher_is_better)
    return Evaluation("made", tuple(values_of_methods), (info,), tuple(pictures))


def test_summary_has_one_record_per_method_metric_and_pair():
    records = json.loads(summary_json(summarise(evaluation())))
    assert all(set(entry) == KEYS for entry in records)
    means = [(entry["method"], entry["metric"]) for entry in records if entry["kind"] == "mean"]
    assert means == [(m, k) for m in ("input", "generic", "specific", "wrong_person") for k in METRICS]
    differences = {entry["method"] for entry in records if entry["kind"] == "difference"}
    assert differences == {
        "generic - input", "specific - input", "specific - generic", "specific - wrong_person",
        "wrong_person - generic",
    }  # fmt: skip


def test_summary_numbers():
    specific = next(r for r in summarise(evaluation()) if r.method == "specific" and r.metric == "psnr")
    assert specific.recipe == "psnr@rgb/uint8"
    assert specific.mean == pytest.approx((decibels(8) + decibels(9)) / 2)
    assert decibels(9) - 1e-9 <= specific.ci_low < specific.mean < specific.ci_high <= decibels(8) + 1e-9
    assert (specific.n, specific.n_identities, specific.n_pictures, specific.n_failed) == (12, 4, 12, 0)
    assert specific.coverage == 1.0
    assert "seed 0" in specific.interval


def test_failures_lower_the_coverage_and_are_counted():
    def method(batch, modes):
        if batch.names[0] == "00000/0.png" or len(batch) > 1:
            raise DataError("unusable")
        return restore(batch, modes)

    records = summarise(evaluation(method, batches(range(4))))
    generic = next(r for r in records if r.method == "generic" and r.metric == "psnr")
    assert (generic.n, generic.n_failed, generic.coverage) == (4, 1, 0.75)
    assert generic.mean == pytest.approx((decibels(32) + 2 * decibels(16) + decibels(17)) / 4)
    assert "3/4" in as_text(records)
    assert "scored as the degraded input" in as_text(records)


def test_differences_are_paired_by_picture():
    records = summarise(made({"generic": [10.0, 20.0, 30.0, math.nan], "specific": [11.0, 21.5, math.nan, 9.0]}))
    difference = next(r for r in records if r.kind == "difference")
    assert difference.method == "specific - generic"
    assert difference.mean == pytest.approx(1.25)
    assert (difference.n, difference.n_pictures) == (2, 4)
    assert difference.beyond_noise


def test_a_difference_that_people_disagree_about_is_within_noise():
    records = summarise(made({"generic": [10.0] * 6, "specific": [11.0, 9.0, 11.5, 9.2, 10.4, 9.5]}))
    assert not next(r for r in records if r.kind == "difference").beyond_noise
    assert " no" in as_text(records)


def test_brackets_in_names_are_no_markup():
    records = summarise(made({"ours[ema]": [10.0, 11.0], "ours[/raw]": [11.0, 12.5]}))
    text = as_text([replace(record, set="x[4]", metric="psnr[y]") for record in records])
    for name in ("ours[ema]", "ours[/raw]", "x[4]", "psnr[y]"):
        assert name in text


def test_one_person_gives_no_interval():
    records = summarise(made({"generic": [10.0], "specific": [11.0]}))
    assert all(r.ci_low is None and r.ci_high is None and not r.beyond_noise for r in records)
    assert "one person" in as_text(records)


def test_what_was_not_scored_is_null_and_not_nan():
    text = summary_json(summarise(evaluation(loader=batches(gt=False))))
    assert "NaN" not in text
    assert {entry["mean"] for entry in json.loads(text)} == {None}
    assert {entry["n"] for entry in json.loads(text)} == {0}


def test_csv_has_every_picture_and_method(tmp_path):
    found = evaluation(loader=[batch_of([picture(0), picture(1, references=0)])])
    write_report([found], tmp_path)
    with open(tmp_path / "faces_pictures.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert list(rows[0])[:4] == ["set", "identity", "name", "method"]
    specific = {row["name"]: row for row in rows if row["method"] == "specific"}
    assert float(specific["00000/0.png"]["psnr"]) == pytest.approx(decibels(8), abs=1e-12)
    assert specific["00000/0.png"]["references"] == "2"
    assert specific["00000/1.png"] | {"psnr": "", "status": "no_references"} == specific["00000/1.png"]


def test_csv_keeps_awkward_names(tmp_path):
    item = picture(0) | {"name": 'a,"b"\n\udcff.png', "identity": "x,y"}
    write_report([evaluation(loader=[batch_of([item])])], tmp_path)
    with open(tmp_path / "faces_pictures.csv", encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["identity"], row["name"]) == ("x,y", 'a,"b"\n\\udcff.png')


def test_a_second_report_replaces_its_own_files_only(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    write_report([evaluation(sheet_rows=1)], tmp_path)
    first = (tmp_path / "summary.json").read_text()
    write_report([evaluation(loader=batches(range(6)))], tmp_path)
    assert (tmp_path / "summary.json").read_text() != first
    assert {path.name for path in tmp_path.iterdir()} == {
        "notes.txt", "summary.json", "table.txt", "tables.md", "tables.tex", "faces_pictures.csv",
        "faces_identities.csv", "faces_sheet.png",
    }  # fmt: skip


def test_table_is_readable_in_eighty_columns(capsys):
    records = summarise(
        made({"generic": [10.0, 11.0, 12.0], "specific": [12.0, 13.0, 14.5], "wrong_person": [1.0] * 3})
    )
    text = as_text(records)
    assert "made: 3 pictures, 3 people" in text
    assert "m: m@rgb" in text
    assert "specific - wrong_person" in text
    assert max(map(len, text.splitlines())) <= 80
    print_report(records)
    assert "specific - generic" in capsys.readouterr().out


def test_the_best_method_follows_the_metric():
    up = [r for r in summarise(made({"input": [1.0], "generic": [2.0]})) if r.kind == "mean"]
    down = [r for r in summarise(made({"input": [1.0], "generic": [2.0]}, higher_is_better=False)) if r.kind == "mean"]
    assert best(up).method == "generic"
    assert best(down).method == "input"


def test_sheet_has_a_block_per_person_and_a_column_per_picture(tmp_path):
    found = evaluation(sheet_rows=3)
    write_report([found], tmp_path)
    sheet = read_image(tmp_path / "faces_sheet.png")
    width, height = Layout(columns=6, rows=3).size
    assert sheet.shape == (height, width, 3)
    assert (sheet == 255).mean() < 0.4  # mostly pictures


def test_sheet_without_target_and_references():
    found = evaluation(loader=batches(gt=False, references=False, wrong=False), sheet_rows=2)
    sheet = comparison_sheet(found.samples, found.metrics)
    assert sheet.shape[:2] == Layout(columns=2, rows=2).size[::-1]


def test_sheet_shows_the_same_place_in_every_column():
    found = evaluation(sheet_rows=1)
    sheet = comparison_sheet(found.samples, found.metrics).astype(int)
    eyes = slice(HEADER + CELL + CAPTION + 4, HEADER + CELL + CAPTION + CELL // 2 - GAP)
    columns = [sheet[eyes, _left(index) + 4 : _left(index) + CELL // 2 - 8] for index in (0, 1, 2, 4)]
    target = columns.pop()
    for method, column in zip((32, 16, 8), columns, strict=True):
        assert (column - target).mean() == pytest.approx(method, abs=1)


def test_sheet_marks_boxes_that_are_missing():
    item = evaluation(sheet_rows=1).samples[0]
    item.boxes[...] = 0
    assert (comparison_sheet([item]) == (222, 225, 230)).all(axis=2).mean() > 0.2


def test_a_sheet_of_nobody_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        comparison_sheet([])


def test_sizes_are_told_in_the_right_number():
    metrics = (MetricInfo("m", "m@recipe", True),)
    one = record("input", 0, 20.0)
    few = summarise(Evaluation("faces", ("input",), metrics, (one,)))
    assert as_text(few).startswith("faces: 1 picture, 1 person\n")
    assert "1 picture of 1 person; a picture" in DOCUMENTS["tables.md"](few)
    none = summarise(Evaluation("faces", ("input",), metrics, (replace(one, values={}),)))
    assert DOCUMENTS["tables.md"](none).count("1 picture, none of them scored; a picture") == 1
    assert none[0].pictures == ""
    assert "ground truth" in none[0].note
