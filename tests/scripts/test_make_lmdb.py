"""A folder becomes an LMDB by the command, and is verified by it."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from dmdnet.data.layouts.manifest_file import ManifestLayout
from dmdnet.data.manifest import Manifest, Row, write_manifest
from dmdnet.data.storage import open_storage


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(3):
        (tmp_path / "a b" / str(number)).mkdir(parents=True)
        Image.new("RGB", (20, 10), (number, 100, 200)).save(tmp_path / "a b" / str(number) / "1.png")
    return tmp_path / "a b"


def test_there_and_verified(
    script: ModuleType, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "a b.lmdb"
    assert script.main([str(images), str(target), "--verify", "--workers", "2"]) == 0
    out = capsys.readouterr().out
    assert f"{images} -> {target}: 3 pictures" in out
    assert "3 pictures, all of them whole" in out
    assert open_storage(target).list_keys() == ["0/1.png", "1/1.png", "2/1.png"]
    assert "0/1.png (10,20,3) 1" in (target / "meta_info.txt").read_text()


def test_compressed_anew(script: ModuleType, images: Path, tmp_path: Path) -> None:
    assert script.main([str(images), str(tmp_path / "flat.lmdb"), "--compress-level", "0"]) == 0
    assert len(open_storage(tmp_path / "flat.lmdb").read("0/1")) > 600


def test_of_a_manifest_what_it_names(script: ModuleType, images: Path, tmp_path: Path) -> None:
    rows = [Row(f"{number}", "a", picture=f"a b/{number}/1.png") for number in (2, 0)]
    manifest = write_manifest(
        Manifest.from_rows(rows, storage=open_storage(tmp_path), origin="made"), tmp_path / "faces.manifest"
    )
    target = tmp_path / "faces.lmdb"
    assert script.main([str(manifest), str(target), "--verify"]) == 0
    assert open_storage(target).list_keys() == ["a b/0/1.png", "a b/2/1.png"]
    table = ManifestLayout(manifest=str(manifest), dataroot=str(target)).manifest()
    for row in table:
        assert table.storage.read(row.picture) == (tmp_path / row.picture).read_bytes()
    (images / "2" / "1.png").unlink()
    assert script.main([str(manifest), str(tmp_path / "other.lmdb")]) == 2


def test_a_damaged_one_is_found(
    script: ModuleType, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.truncate(images / "1" / "1.png", 50)
    assert script.main([str(images), "--verify"]) == 2
    error = capsys.readouterr().err
    assert "1/1.png: the picture is cut short" in error
    assert "1 pictures cannot be used" in error
    assert script.main([str(images), str(tmp_path / "new.lmdb")]) == 2
    assert "cut short" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.lmdb"))


def test_errors_are_one_line(
    script: ModuleType, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([tmp_path / "missing", tmp_path / "x.lmdb"], [images, tmp_path / "x"]):
        assert script.main([str(argument) for argument in arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
    for wrong in ([str(images)], [str(images), "x.lmdb", "--workers", "0"]):
        with pytest.raises(SystemExit):
            script.main(wrong)
