"""The lists of references: what the published files look like, and what people make of them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dmdnet.data.layouts.reference_csv import ListedTarget, read_reference_csv
from dmdnet.errors import DataError

TRAIN = "gt_image,ref_image\n"


def read(tmp_path: Path, text: str | bytes) -> list[ListedTarget]:
    path = tmp_path / "references.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_reference_csv(path)


def test_the_form_of_the_training_list(tmp_path: Path) -> None:
    found = read(tmp_path, TRAIN + "57244.png,\"['00012.png', '34567.png']\"\n00001.png,['00002.png']\n")
    assert found == [
        ListedTarget("57244.png", "", ("00012.png", "34567.png")),
        ListedTarget("00001.png", "", ("00002.png",)),
    ]


def test_the_form_of_the_test_list(tmp_path: Path) -> None:
    (found,) = read(tmp_path, "gt_image,lq_image,ref_image\n1.png,2.png,\"['3.png']\"\n")
    assert found == ListedTarget("1.png", "2.png", ("3.png",))


def test_a_weight_is_accepted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        (found,) = read(tmp_path, "gt_image,ref_image,weight\n1.png,\"['3.png']\",0.5\n")
    assert found.references == ("3.png",)
    assert "the column 'weight' is not used" in caplog.text


@pytest.mark.parametrize(
    ("written", "references"),
    [
        ("\"['b.png',  'c.png',]\"", ("b.png", "c.png")),
        ('"[""b.png"", ""it\'s.png""]"', ("b.png", "it's.png")),
        (r'''"['it\'s.png']"''', ("it's.png",)),
        ("[]", ()),
        ("", ()),
        ("b.png", ("b.png",)),
        ("\"'b.png'\"", ("b.png",)),
        ("\"[ 'Zoë 张.png' ]\"", ("Zoë 张.png",)),
        ("\"['b.png', 'b.png', 'c.png']\"", ("b.png", "c.png")),
        ("\"[' b.png ']\"", ("b.png",)),
        ("\"('b.png', 'c.png')\"", ("b.png", "c.png")),
        ("\"('b.png')\"", ("b.png",)),
        ("()", ()),
    ],
)
def test_quirks_of_lists(written: str, references: tuple[str, ...], tmp_path: Path) -> None:
    (found,) = read(tmp_path, f"{TRAIN}a.png,{written}\n")
    assert found.references == references


@pytest.mark.parametrize("text", [
    b"\xef\xbb\xbfgt_image,ref_image\r\na.png,['b.png']\r\n\r\n",  # BOM, CRLF, an empty line
    b"gt_image, ref_image \na.png , ['b.png']\n",
    b"\"gt_image\",\"ref_image\"\n\"a.png\",\"['b.png']\"",
    b"ref_image,gt_image\n['b.png'],a.png\n",
    b",gt_image,ref_image\n0,a.png,['b.png']\n",  # as pandas writes an index
])  # fmt: skip
def test_quirks_of_files(text: bytes, tmp_path: Path) -> None:
    assert read(tmp_path, text) == [ListedTarget("a.png", "", ("b.png",))]


@pytest.mark.parametrize(
    "written",
    [
        "\"['b.png'\"", "\"['b.png' 'c.png']\"", "\"[['b.png']]\"", "\"['b.png', 3]\"", "\"['b.png'] + ['c.png']\"",
        "[__import__('os')]", "\"[f'{1}']\"", "['\\x']", "['\\N{nothing}']", "[b.png]",
        '"' + "[" * 5000 + "]" * 5000 + '"',
    ],
)  # fmt: skip
def test_what_is_no_list_of_names(written: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"references\.csv, line 2: ref_image is no list of names"):
        read(tmp_path, f"{TRAIN}a.png,{written}\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a.png,['b.png', 'c.png']\n", r"line 2: has 3 fields, the header 2 .*put lists in double quotes"),
        ("a.png\n", "line 2: has 1 fields"),
        (",b.png\n", "line 2: gt_image is empty"),
        ("a.png,b.png\n\na.png,c.png\n", "line 4: a.png comes a second time"),
        ("a.png,\"['b.png', 'a.png']\"\n", "line 2: a.png is among its own references"),
        ("a.png,\"['', 'b.png']\"\n", "has an empty name"),
        (f"a.png,\"['{'x' * 110_000}']\"\n", "more than 100,000"),
        (f"a.png,\"['{'x' * 140_000}']\"\n", "cannot be read as a CSV file: field larger"),
        ("a.png,\"['b.png\n", "cannot be read as a CSV file"),
        ("", "lists no picture"),
    ],
)
def test_bad_lines(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=why):
        read(tmp_path, TRAIN + text)


@pytest.mark.parametrize(
    "header", ["", "a,b\n", "gt_image\n", "gt_image,gt_image,ref_image\n", "57244.png,['1.png']\n"]
)
def test_bad_headers(header: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="its first line is to name the columns gt_image, ref_image"):
        read(tmp_path, header + "a.png,b.png\n")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a CSV file"):
        read(tmp_path, b"\xff\xfe\x00gt_image")
    with pytest.raises(DataError, match="cannot be read as a CSV file"):
        read_reference_csv(tmp_path / "absent.csv")
