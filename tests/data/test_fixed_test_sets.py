"""Fixed test sets: the same bytes every time, the same pictures as degraded on the fly."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_faces import mean_landmarks, write_celebref, write_face

from dmdnet.cli.main import main
from dmdnet.config.options import DatasetOptions
from dmdnet.data.loading import build_dataset
from dmdnet.data.manifest import Manifest, read_manifest, write_manifest
from dmdnet.data.provenance import parameters
from dmdnet.data.storage import DiskStorage, write_lmdb
from dmdnet.data.test_set_pictures import Recipe
from dmdnet.data.test_set_source import open_source
from dmdnet.data.test_sets import make_test_set, verify_test_set
from dmdnet.errors import ConfigError, DataError
from dmdnet.faces.backend import Face as FoundFace
from dmdnet.images import read_image, to_hwc

RECIPE = Recipe("gfpgan", seed=3, size=64)


def tree_hash(folder):
    """Return one digest of all names and bytes below a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_celebref(tmp_path_factory.mktemp("source"), {"00001": 3, "00002": 2})


@pytest.fixture(scope="module")
def written(root, tmp_path_factory):
    output = tmp_path_factory.mktemp("written") / "test set"
    make_test_set(open_source(root), output, RECIPE)
    return output


def dataset(layout, degradation=(), **options):
    entry = {"name": "a", "type": "ReferenceFaceDataset", "layout": layout, "image_size": 64, **options}
    entry |= {"num_references": (0, 2), "reference_order": "given", "degradation": degradation}
    return build_dataset(DatasetOptions.model_validate(entry), seed=RECIPE.seed, phase="test")


def test_the_written_set_is_what_a_data_set_degrades_on_the_fly(root, written):
    on_the_fly = dataset(
        {"type": "CelebRefHQLayout", "dataroot_gt": str(root)}, ({"type": "Preset", "name": "gfpgan"},)
    )
    ready = dataset({"type": "ManifestLayout", "manifest": str(written / "faces.manifest")}, verify_checksums=True)
    assert len(on_the_fly) == len(ready) == 5
    for number in range(5):
        one, other = on_the_fly[number], ready[number]
        assert one.name == other.name
        assert one.identity == other.identity
        np.testing.assert_array_equal(one.lq, other.lq)
        np.testing.assert_array_equal(one.gt, other.gt)
        np.testing.assert_array_equal(one.gt_boxes, other.gt_boxes)
        np.testing.assert_array_equal(one.references.images, other.references.images)
        np.testing.assert_array_equal(to_hwc(one.lq), read_image(written / "lq" / one.name))
        assert (one.lq != one.gt).any()


def test_another_run_elsewhere_gives_the_same_bytes(root, written, tmp_path):
    make_test_set(open_source(root), tmp_path / "again", RECIPE)
    assert tree_hash(tmp_path / "again") == tree_hash(written)
    moved = shutil.copytree(root.parent, tmp_path / "moved")
    make_test_set(open_source(moved / "images"), tmp_path / "from moved", RECIPE)
    assert tree_hash(tmp_path / "from moved") == tree_hash(written), "where the source lies is no part of the set"
    make_test_set(open_source(root), tmp_path / "other", replace(RECIPE, seed=4))
    assert tree_hash(tmp_path / "other") != tree_hash(written)


def test_workers_change_nothing(root, written, tmp_path):
    make_test_set(open_source(root), tmp_path / "set", RECIPE, workers=2)
    assert tree_hash(tmp_path / "set") == tree_hash(written)


def test_an_lmdb_gives_the_same_set(root, written, tmp_path):
    lmdb = root.with_name("images.lmdb")
    write_lmdb(DiskStorage(root), lmdb, workers=1)
    make_test_set(open_source(lmdb), tmp_path / "set", RECIPE)
    assert tree_hash(tmp_path / "set") == tree_hash(written)


def test_added_pictures_change_nothing_about_the_others(root, written, tmp_path):
    grown = shutil.copytree(root.parent, tmp_path / "grown")
    write_face(grown / "images/00000/1.png", grown / "landmarks/00000/1.png.txt", 77, 64)
    make_test_set(open_source(grown / "images"), tmp_path / "set", RECIPE)
    for path in (written / "lq").rglob("*.png"):
        assert (tmp_path / "set/lq" / path.relative_to(written / "lq")).read_bytes() == path.read_bytes()


def test_provenance_says_all(root, written):
    text = (written / "provenance.json").read_text()
    known = json.loads(text)
    assert known["recipe"] == {"preset": "gfpgan", "seed": 3, "size": 64, "missing_landmarks": "error"}
    assert set(known["versions"]) == {"dmdnet", "numpy", "opencv"}
    assert [op["type"] for op in known["degradation"]][:2] == ["GaussianBlur", "Downsample"]
    assert len(known["pictures"]) == 5
    for name, entry in known["pictures"].items():
        assert entry["source_crc32"] == f"{zlib.crc32((root / name).read_bytes()):08x}"
        assert entry["lq_crc32"] == f"{zlib.crc32((written / 'lq' / name).read_bytes()):08x}"
        (ops,) = entry["parameters"]
        assert any(draw and draw["draw"] == "JPEGDraw" and 60 <= draw["quality"] <= 100 for draw in ops)
    assert str(root.parent) not in text
    rows = {row.name: row for row in read_manifest(written / "faces.manifest")}
    for name, row in rows.items():
        assert f"{row.checksum:08x}" == known["pictures"][name]["gt_crc32"]
        assert f"{row.degraded_checksum:08x}" == known["pictures"][name]["lq_crc32"]
        assert row.size == (64, 64)
        assert row.landmarks.shape == (68, 2)


def test_provenance_names_what_found_landmarks(root, tmp_path, monkeypatch):
    def found(backend, image):
        return FoundFace((0, 0, 64, 64), mean_landmarks(64), 1.0)

    monkeypatch.setattr("dmdnet.data.made_landmarks.get_backend", lambda name: None)
    monkeypatch.setattr("dmdnet.data.made_landmarks.find_face", found)
    rows = [replace(row, landmark_file="") for row in open_source(root)]
    source = Manifest.from_rows(rows, storage=DiskStorage(root), origin=str(root))
    make_test_set(source, tmp_path / "set", RECIPE)
    versions = json.loads((tmp_path / "set/provenance.json").read_text())["versions"]
    assert versions["dlib"] == metadata.version("dlib-bin")


def test_parameters_as_json():
    assert parameters((None, (1, 2.5), "a")) == [None, [1, 2.5], "a"]


def test_a_table_keeps_what_it_knows_and_references_are_not_degraded(root, tmp_path):
    rows = [
        replace(row, is_target=row.name.endswith("/1.png"), split="test", sharpness=7.0, references=("00001/2.png",))
        for row in open_source(root)
    ]
    rows[-1] = replace(rows[-1], split="train")
    rows = [replace(row, landmarks=np.loadtxt(row.landmark_file, dtype=np.float32), landmark_file="") for row in rows]
    write_manifest(Manifest.from_rows(rows, storage=DiskStorage(root), origin="t"), root.parent / "faces.manifest")
    source = open_source(root.parent / "faces.manifest", split="test")
    assert len(source) == 4
    made = list(read_manifest(make_test_set(source, tmp_path / "set", RECIPE)))
    assert [row.name for row in made] == [row.name for row in rows[:-1]]
    assert [bool(row.degraded) for row in made] == [True, False, False, True]
    assert all(row.sharpness == 7 and row.references == ("00001/2.png",) for row in made)
    assert sorted(path.name for path in (tmp_path / "set/lq").rglob("*.png")) == ["1.png", "1.png"]
    (root.parent / "faces.manifest").unlink()
    with pytest.raises(DataError, match="no face in the split 'val'"):
        open_source(root, split="val")


def test_a_folder_above_the_people_is_not_one_person(root, tmp_path):
    shutil.copytree(root, tmp_path / "set" / "images")
    with pytest.raises(DataError, match=r"all its pictures lie in .*images, in 2 folders; if those are the people"):
        open_source(tmp_path / "set")
    assert len(open_source(tmp_path / "set", layout="PersonFoldersLayout").identities) == 1
    assert len(open_source(tmp_path / "set" / "images").identities) == 2


def test_other_sizes_and_formats_become_png(tmp_path):
    write_celebref(tmp_path, {"Ann Lee": 1}, size=128)
    folder = tmp_path / "images/Ann Lee"
    write_face(folder / "ö.jpg", tmp_path / "landmarks/Ann Lee/ö.jpg.txt", 5, 96)
    made = list(read_manifest(make_test_set(open_source(tmp_path / "images"), tmp_path / "set", RECIPE)))
    assert [row.picture for row in made] == ["gt/Ann Lee/1.png", "gt/Ann Lee/ö.jpg.png"]
    assert [row.name for row in made] == ["Ann Lee/1.png", "Ann Lee/ö.jpg"]
    assert all(read_image(tmp_path / "set" / row.picture).shape == (64, 64, 3) for row in made)
    flat = open_source(folder)
    assert {row.identity for row in flat} == {"1", "ö"}, "in a flat folder every picture is another person"
    write_face(folder / "ö.jpg.png", None, 6, 64)
    with pytest.raises(DataError, match=r"would both be Ann Lee/ö\.jpg\.png; rename one"):
        make_test_set(open_source(tmp_path / "images"), tmp_path / "other", RECIPE)


def test_what_is_there_stays(root, written, tmp_path):
    before = tree_hash(written)
    make_test_set(open_source(root), written, RECIPE)
    assert tree_hash(written) == before
    for other, option in (
        (replace(RECIPE, seed=9), "--seed 3, not 9"),
        (replace(RECIPE, preset="x4"), "gfpgan, not x4"),
    ):
        with pytest.raises(DataError, match=f"was made with .*{option}"):
            make_test_set(open_source(root), written, other)
        with pytest.raises(DataError, match=f"was made with .*{option}"):
            verify_test_set(open_source(root), written, other)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        make_test_set(open_source(root), tmp_path / "full", RECIPE)
    copy = shutil.copytree(root.parent, tmp_path / "copy") / "images"
    (copy / "00002/2.png").unlink()
    with pytest.raises(DataError, match="was made of other pictures"):
        make_test_set(open_source(copy), written, RECIPE)
    names = sorted(path.name for path in (*tmp_path.iterdir(), *written.parent.iterdir()))
    assert names == ["copy", "full", "test set"], "nothing half made is left"
    assert tree_hash(written) == before


def test_a_folder_that_cannot_take_the_set_is_known_before_the_work(root, tmp_path, monkeypatch):
    monkeypatch.setattr("dmdnet.data.test_sets._make", lambda *_: pytest.fail("worked first"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for output, message in (("full", "is no test set"), ("file", "is no test set"), ("..", "a name of its own")):
        with pytest.raises(DataError, match=message):
            make_test_set(open_source(root), tmp_path / output, RECIPE)
    with pytest.raises(DataError, match="a name of its own"):
        make_test_set(open_source(root), ".", RECIPE)


def test_an_empty_folder_is_free(root, written, tmp_path):
    (tmp_path / "set").mkdir()
    make_test_set(open_source(root), tmp_path / "set", RECIPE)
    assert tree_hash(tmp_path / "set") == tree_hash(written)


def test_sigterm_leaves_nothing_half_made(root, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)

    def interrupted(*_, **__) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("dmdnet.data.test_sets.write_manifest", interrupted)
    with pytest.raises(SystemExit) as caught:
        main(["degrade", str(root), str(tmp_path / "set"), "--preset", "x4", "--size", "64"])
    assert caught.value.code == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path):
    write_celebref(tmp_path, {"00001": 60}, size=64)
    arguments = [str(tmp_path / "images"), str(tmp_path / "set"), "--preset", "gfpgan", "--size", "1024"]
    command = [sys.executable, "-m", "dmdnet", "degrade", *arguments, "--workers", "2"]
    process = subprocess.Popen(command, start_new_session=True)

    def members() -> list[str]:
        fields = (stat.read_text().rpartition(")")[2].split() for stat in Path("/proc").glob("[0-9]*/stat"))
        return [state for state, _, group, *_ in fields if int(group) == process.pid and state != "Z"]

    def wait_until(happened) -> bool:
        deadline = time.monotonic() + 60
        while not happened() and time.monotonic() < deadline:
            time.sleep(0.1)
        return happened()

    assert wait_until(lambda: any(tmp_path.glob(".set.*/gt/00001/*.png")))
    process.kill()
    process.wait()
    assert wait_until(lambda: not members())


def test_a_bad_picture_leaves_nothing_behind(root, tmp_path):
    copy = shutil.copytree(root.parent, tmp_path / "copy") / "images"
    (copy / "00002/2.png").write_bytes((copy / "00002/2.png").read_bytes()[:500])
    with pytest.raises(DataError, match=r"2\.png.*cut short"):
        make_test_set(open_source(copy), tmp_path / "set", RECIPE)
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_face_that_is_not_found_says_what_can_be_done(tmp_path, capsys):
    folder = tmp_path / "images/Ann"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "1.png"), np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    arguments = ["degrade", str(folder.parent), str(tmp_path / "set"), "--preset", "x4", "--size", "64"]
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert "no face was found" in message
    assert "--missing-landmarks template" in message
    assert "dmdnet_landmarks_" not in message
    assert main([*arguments, "--missing-landmarks", "template"]) == 0


def test_verify_finds_what_was_changed(root, written, tmp_path, capsys):
    arguments = ["degrade", str(root), "", "--preset", "gfpgan", "--seed", "3", "--size", "64", "--verify"]
    copy = tmp_path / "set"
    shutil.copytree(written, copy)
    arguments[2] = str(copy)
    assert main(arguments) == 0
    assert "all 12 files are the same" in capsys.readouterr().out
    path = copy / "lq/00001/2.png"
    image = cv2.imread(str(path))
    path.write_bytes(cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes())
    with pytest.raises(DataError, match=r"1 of 12 files have other bytes.*every pixel is the same"):
        verify_test_set(open_source(root), copy, RECIPE)
    image[5, 5, 0] ^= 1
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    assert main(arguments) == 2
    assert "1 of 12 files differ from those made anew, the first is lq/00001/2.png" in capsys.readouterr().err
    path.unlink()
    with pytest.raises(DataError, match=r"lq/00001/2\.png is missing; 1 such files"):
        verify_test_set(open_source(root), copy, RECIPE)
    (copy / "gt/00001/notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"gt/00001/notes\.txt does not belong to the set; 2 such files"):
        verify_test_set(open_source(root), copy, RECIPE)
    with pytest.raises(DataError, match="without --verify first"):
        verify_test_set(open_source(root), tmp_path / "nowhere", RECIPE)


def test_from_the_command_line(root, written, tmp_path, capsys):
    out = str(tmp_path / "set")
    assert main(["degrade", str(root), out, "--preset", "gfpgan", "--seed", "3", "--size", "64"]) == 0
    assert tree_hash(tmp_path / "set") == tree_hash(written)
    for bad, message in (
        (["--preset", "gfpgam"], "did you mean 'gfpgan'"),
        (["--preset", "x4", "--size", "100"], "size 100: is not a multiple of 8"),
        (["--preset", "x4", "--workers", "0"], "workers 0: must be at least 1"),
        (["--preset", "x4", "--seed", "-1"], "seed -1: is not a whole number from 0"),
        (["--preset", "x4", "--layout", "DMDNetListLayout"], "needs more than the folder"),
        (["--preset", "x4", "--layout", "FFHQLayou"], "did you mean 'FFHQLayout'"),
    ):
        assert main(["degrade", str(root), str(tmp_path / "bad"), *bad]) == 2
        assert message in capsys.readouterr().err
    assert main(["degrade", str(root), str(root / "set"), "--preset", "x4"]) == 2
    assert "choose a folder beside it" in capsys.readouterr().err
    assert main(["degrade", str(tmp_path / "no"), out, "--preset", "x4"]) == 2
    assert "does not exist; a folder of aligned faces, NAME.lmdb" in capsys.readouterr().err
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["degrade", str(tmp_path / "notes.txt"), out, "--preset", "x4"]) == 2
    assert "is a file; a folder of aligned faces" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["degrade", str(tmp_path / "empty"), out, "--preset", "x4"]) == 2
    assert "holds no picture" in capsys.readouterr().err
    assert main(["degrade", str(root), str(tmp_path / "no/set"), "--preset", "x4"]) == 2
    assert "make it first" in capsys.readouterr().err


def test_recipes_are_checked():
    with pytest.raises(ConfigError, match="there is none called 'x5'"):
        Recipe("x5")
    assert Recipe("x4", size=4096).size == 4096
