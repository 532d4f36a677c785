"""A manifest as people see it: on the command line and as a CSV file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from dmdnet.cli.main import main
from dmdnet.data.manifest import Manifest, Row, write_manifest
from dmdnet.data.storage import DiskStorage


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [
        Row("Zoë, 张/1.png", "Zoë, 张", "1.png", split="train", size=(512, 512), sharpness=0.5, checksum=255,
            pose=(1, -2, 3), fingerprint=10, embedding=np.ones(4), references=("Zoë, 张/2.png",)),
        Row("Zoë, 张/2.png", "Zoë, 张", "2.png", split="train", is_target=False, duplicate_of="Zoë, 张/1.png",
            references=()),
        Row("b.png", "b", "b.png", split="test", references=()),
    ]  # fmt: skip
    manifest = Manifest.from_rows(rows, storage=DiskStorage(tmp_path / "images"), origin="made")
    return write_manifest(manifest, tmp_path / "faces.manifest", options={"seed": 3})


def test_what_is_printed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manifest", str(file), "--rows", "-1"]) == 2
    assert main(["manifest", str(file.parent)]) == 2
    assert "give the file in it" in capsys.readouterr().err
    assert main(["manifest", str(file), "--rows", "2", "--verify"]) == 0  # the folder of pictures is not there
    text = capsys.readouterr().out
    lines = [line.split() for line in text.splitlines()]
    assert f"{file}: 3 faces of 2 people" in text
    assert ["train", "2", "1", "1"] in lines
    assert ["test", "1", "1", "1"] in lines
    assert "pictures per person: 1 to 2, median 1.5; 1 people have one" in text
    assert "size (1)" in text
    assert "picture (all)" in text
    assert "references: listed for 1 faces, 1.0 each" in text
    assert "near-duplicates of an earlier face: 1" in text
    assert 'pictures in images (from the file\'s folder)\nmade with {"seed": 3}' in text
    assert "Zoë, 张/1.png  [Zoë, 张]  train  512x512  sharpness 0.5  1 references" in text
    assert "b.png  [b]" not in text
    assert "the file is as it was written" in text


def test_the_csv_file(file: Path, tmp_path: Path) -> None:
    assert main(["manifest", str(file), "--csv", str(tmp_path / "faces.csv")]) == 0
    with open(tmp_path / "faces.csv", encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["name"] for row in rows] == ["Zoë, 张/1.png", "Zoë, 张/2.png", "b.png"]
    first = rows[0]
    assert (first["checksum"], first["fingerprint"], first["yaw"]) == ("000000ff", "000000000000000a", "1.00")
    assert (first["width"], first["sharpness"], first["is_target"]) == ("512", "0.5", "1")
    assert json.loads(first["references"]) == ["Zoë, 张/2.png"]
    assert rows[1]["duplicate_of"] == "Zoë, 张/1.png"
    assert rows[2]["width"] == ""


def test_damage_is_reported_in_one_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1  # the last column: bytes of text or truth values
    file.write_bytes(data)
    assert main(["manifest", str(file), "--verify"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert main(["manifest", str(file.parent / "absent.manifest")]) == 2
