"""Curves through the records of a summary."""

from dataclasses import replace

import pytest
from known_evaluations import made_evaluation

from dmdnet.evaluation.reports.documents import DOCUMENTS
from dmdnet.evaluation.statistics.curves import curves
from dmdnet.evaluation.statistics.summary import summarise

RECORDS = summarise(made_evaluation())


def of(over, records, metric="psnr"):
    return [curve for curve in curves(records) if curve.over == over and curve.metric == metric]


def test_over_references_from_the_network_without():
    (curve,) = of("references", RECORDS)
    assert (curve.set, curve.recipe, curve.higher_is_better) == ("made", "psnr@rgb/uint8", True)
    lines = {line.name: line.points for line in curve.lines}
    assert [point.x for point in lines["ours specific"]] == [0, 1, 3]
    assert [point.x for point in lines["ours wrong_person"]] == [0, 3]
    assert lines["ours specific"][0] == lines["ours wrong_person"][0]
    means = [point.mean for point in lines["ours specific"]]
    assert means == sorted(means)
    for point in lines["ours specific"]:
        assert point.low < point.mean < point.high
    record = next(r for r in RECORDS if (r.method, r.metric, r.group) == ("ours_specific@3", "psnr", ""))
    assert lines["ours specific"][-1].mean == record.mean
    assert lines["ours specific"][-1].n == 47


def test_points_over_different_pictures_say_so():
    (curve,) = of("references", RECORDS)
    counts = {point.n for line in curve.lines for point in line.points}
    assert len(counts) > 1
    assert f"({min(counts)} to {max(counts)};" in curve.caution
    text = DOCUMENTS["tables.md"](RECORDS)
    assert "psnr: the points rest on different pictures" in text
    same = [replace(record, n=40, pictures="one") for record in RECORDS]
    assert of("references", same)[0].caution == ""
    as_many = [replace(record, n=40) for record in RECORDS]
    assert "(40 each, but others;" in of("references", as_many)[0].caution


def test_over_severity_a_point_is_a_set():
    records = [
        record
        for number, severity in enumerate((16.0, 4.0, 8.0))
        for record in summarise(replace(made_evaluation(), set_name=f"x{number}", severity=severity))
    ]
    (curve,) = of("severity", records)
    assert curve.set == ""
    assert [line.name for line in curve.lines][:2] == ["input", "ours_generic"]
    assert all([point.x for point in line.points] == [4, 8, 16] for line in curve.lines)
    assert len(of("references", records)) == 3


def test_over_the_inputs_quality():
    (curve,) = of("input_quality", RECORDS, "lpips")
    assert curve.x_label == "the degraded input's own psnr"
    assert all(len(line.points) == 4 for line in curve.lines)
    of_input = next(line for line in curve.lines if line.name == "input").points
    assert [point.mean for point in of_input] == sorted((point.mean for point in of_input), reverse=True)
    assert of_input[0].x == pytest.approx(18.8, abs=0.2)


def test_one_point_is_no_curve():
    assert not of("severity", RECORDS)
    without = [record for record in RECORDS if record.mode != "generic" and record.references != 1]
    assert not of("references", without)
    assert curves([]) == ()


def test_set_metrics_have_curves_and_what_was_not_computed_has_none():
    assert of("references", RECORDS, "fid")
    assert not of("references", RECORDS, "ids")
