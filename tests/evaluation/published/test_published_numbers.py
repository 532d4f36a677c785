"""The published numbers against a few typed here by hand, their counts, and what must not be among them."""

import json
from collections import Counter

import pytest

from dmdnet.cli.main import main
from dmdnet.errors import ConfigError
from dmdnet.evaluation.published import (
    check_published_set,
    published_numbers,
    published_sets,
    published_tables,
)
from dmdnet.evaluation.published.files import SourceFile, TableData

# rows x columns of every table, less the cells that are empty
COUNTS = {
    "ReF-LDM": 6 * 11,
    "IConFace": 6 * 4 * 4 + 6 * 4 * 5 + 4 + 5 * 3 + 5 * 4,
    "DMDNet": 4,
    "FaceMe": 9 * 10 - 3,
    "PFStorer": 5 * 6 + 1,
    "InstantRestore": 6 * 5,
    "HonestFace": 6 * 8 + 5 * 3 + 4 * 4,
    "Ada-RefSR": 3 * 3,
    "RefSTAR": 4,
    "ReSem-Face": 4,
    "ReFine": 4,
    "MeInTime and TimeWeaver": 4,
    "FlowIE": 8 * 8,
    "OSDFace": 8 * 7 + 8 * 3,
    "DR2": 3,
    "CodeFormer": 3,
}
# source, set, method, metric, value, reading: the corners of the tables and what is easily mixed up
VALUES = [
    ("ReF-LDM", "ffhq_ref_severe", "DMDNet", "ids", 0.185, "R"),
    ("ReF-LDM", "ffhq_ref_severe", "ReF-LDM", "fid", 37.60, "R"),
    ("ReF-LDM", "ffhq_ref_moderate", "DMDNet", "ids", 0.810, "R"),
    ("ReF-LDM", "ffhq_ref_moderate", "CodeFormer", "flpips", 0.084, "R"),
    ("ReF-LDM", "celeba_test_ref", "DMDNet", "ids", 0.752, "R"),
    ("ReF-LDM", "celeba_test_ref", "ReF-LDM", "lpips", 0.368, "R"),
    ("IConFace", "celeba_test_ref", "DMDNet", "psnr", 25.535, "R"),
    ("IConFace", "ffhq_ref_severe", "ReF-LDM", "ids_adaface", 0.661, "R"),
    ("IConFace", "ffhq_ref_moderate", "FaceMe", "ids_adaface", 0.894, "R"),
    ("IConFace", "celebhqref100", "IConFace", "lpips", 0.283, "R"),
    ("IConFace", "celebhqref100", "InstantRestore", "ids_ref_adaface", 0.507, "R"),
    ("IConFace", "ffhq_ref_severe", "DMDNet", "musiq", 62.18, "R"),
    ("IConFace", "celeba_test_ref", "IConFace", "maniqa", 0.635, "R"),
    ("IConFace", "celebhqref100", "first reference", "ids_adaface", 0.640, "R"),
    ("IConFace", "celeba_test", "CodeFormer", "lpips", 0.227, "R"),
    ("IConFace", "wider_test", "DAEFR", "musiq", 74.14, "R"),
    ("DMDNet", "celebref_hq", "DMDNet", "psnr", 28.97, "S"),
    ("DMDNet", "celebref_hq", "DMDNet", "ids", 0.793, "S"),
    ("FaceMe", "celebref_hq", "DMDNet", "lmd", 5.837, "R"),
    ("FaceMe", "lfw_test", "DMDNet", "fid", 53.34, "R"),
    ("FaceMe", "webphoto_test", "DMDNet", "fid", 89.27, "R"),
    ("FaceMe", "wider_test", "DMDNet", "fid", 41.98, "R"),
    ("FaceMe", "wider_test", "FaceMe", "fid", 33.59, "R"),
    ("PFStorer", "celebref_hq", "DMDNet", "ids_percent", 29.51, "R"),
    ("PFStorer", "celebref_hq", "ground truth", "musiq", 62.37, "R"),
    ("InstantRestore", "instantrestore_test", "InstantRestore", "seconds", 0.471, "R"),
    ("InstantRestore", "instantrestore_test", "DiffBIR", "seconds", 11.6, "R"),
    ("HonestFace", "celebhqref_test", "DMDNet", "deg", 34.26, "R"),
    ("HonestFace", "reface_test", "MGFR", "fid", 34.17, "R"),
    ("HonestFace", "celebhqref_test", "OSDFace", "psnr", 23.51, "R"),
    ("Ada-RefSR", "celebref_hq", "DMDNet", "psnr", 26.90, "S"),
    ("RefSTAR", "celeb_ref_test", "RefSTAR", "ids_ref_percent", 64.53, "S"),
    ("MeInTime and TimeWeaver", "meintime_test", "ReF-LDM", "seconds", 1.79, "S"),
    ("FlowIE", "lfw_test", "DMDNet", "fid", 43.38, "R"),
    ("FlowIE", "wider_test", "DMDNet", "fid", 40.53, "R"),
    ("FlowIE", "celeba_test", "DMDNet", "ids", 0.66, "R"),
    ("FlowIE", "celeba_test", "FlowIE", "fid", 19.81, "R"),
    ("OSDFace", "celeba_test", "DiffBIR", "fid_ffhq", 71.8, "R"),
    ("OSDFace", "celeba_test", "DiffBIR", "fid_hq", 32.5, "R"),
    ("OSDFace", "wider_test", "OSDFace", "fid", 34.65, "R"),
    ("OSDFace", "webphoto_test", "CodeFormer", "fid", 83.20, "R"),
    ("DR2", "webphoto_test", "DR2", "fid", 108.8, "S"),
    ("CodeFormer", "celeba_test", "CodeFormer", "lpips", 0.299, "S"),
]


def test_every_table_is_there_in_full():
    assert Counter(number.source for number in published_numbers()) == COUNTS
    assert len(published_numbers()) == 727


@pytest.mark.parametrize("expected", VALUES, ids=lambda value: "-".join(map(str, value)))
def test_a_number_is_what_the_paper_prints(expected):
    source, set_key, method, metric, value, reading = expected
    found = [
        (number.value, number.reading)
        for number in published_numbers(set_key)
        if (number.source, number.method, number.metric) == (source, method, metric)
    ]
    assert found == [(value, reading)]


def test_rows_that_an_aggregator_mislabelled_or_nobody_could_trace_are_left_out():
    traced_to_another_method = {62.57, 57.84, 100.7, 100.68}
    not_traced = {27.72, 58.36}
    values = {number.value for number in published_numbers() if number.method == "DMDNet"}
    assert not values & (traced_to_another_method | not_traced)


def test_failures_that_a_source_dropped_stand_beside_its_numbers():
    dropped = {n.set: (n.dropped, n.pictures) for n in published_numbers() if n.dropped is not None}
    assert dropped == {
        "ffhq_ref_severe": (214, 857), "ffhq_ref_moderate": (29, 857), "celeba_test_ref": (488, 2533),
    }  # fmt: skip


def test_no_table_has_two_sources_sets_or_recipes_for_a_metric():
    for table in published_tables():
        for method, row in table.numbers.items():
            for metric, number in row.items():
                assert (number.source, number.set, number.method) == (table.source, table.set, method)
                assert number.recipe == table.metrics[metric]
                assert number.citation


def test_every_number_is_in_the_range_of_its_metric():
    ranges = {"psnr": (15, 35), "ssim": (0, 1), "lpips": (0, 1), "ids": (0, 1), "musiq": (40, 80), "fid": (15, 120)}
    for number in published_numbers():
        low, high = ranges.get(number.metric, (0, 200))
        assert low < number.value < high, number


def test_every_set_has_numbers():
    assert set(published_sets()) == {number.set for number in published_numbers()}


def test_an_unknown_set():
    with pytest.raises(ConfigError, match=r"datasets\.test.*'ffhq_ref_sever'.*did you mean 'ffhq_ref_severe'"):
        check_published_set("ffhq_ref_sever", "datasets.test.published")


def test_a_row_that_does_not_fit_its_columns_is_refused():
    data = {"where": "Table 1", "reading": "R", "columns": {"a": ("psnr",)}, "rows": {"x": (1.0, 2.0)}}
    with pytest.raises(ValueError, match="row 'x': 2 cells for 1 columns"):
        TableData.model_validate(data)
    with pytest.raises(ValueError, match="notes: 'y' is not in the table"):
        TableData.model_validate(data | {"rows": {"x": (1.0,)}, "notes": {"y": ""}})
    with pytest.raises(ValueError, match="did you mean 'tables'"):
        SourceFile.model_validate({"source": "a", "citation": "a", "recipes": {}, "tabels": ()})


def test_the_command(capsys):
    assert main(["published"]) == 0
    assert "celebref_hq " in capsys.readouterr().out
    assert main(["published", "ffhq_ref_severe"]) == 0
    shown = capsys.readouterr().out
    assert "(214 of 857)" in shown
    assert "0.570" in shown  # as many decimals as the paper prints
    assert "not comparable" in shown
    assert main(["published", "lfw_test", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert len(records) == 31
    assert {record["set"] for record in records} == {"lfw_test"}
