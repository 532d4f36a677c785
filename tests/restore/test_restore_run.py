from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dmdnet.errors import ConfigError, DataError, DMDNetError, FaceError, WeightsError
from dmdnet.images import read_image, write_image
from dmdnet.restore.demo_photo import degrade, demo_photograph
from dmdnet.restore.run import choose_device, restore_photograph
from dmdnet.restore.sheet import face_sheet

REPOSITORY = Path(__file__).parents[2]


def test_from_file_to_file_with_references(tmp_path, photo, weights, reference_folder):
    out = tmp_path / "restored.png"
    summary = restore_photograph(
        photo, weights, out, references=reference_folder, device="cpu", save_faces=tmp_path / "faces"
    )
    assert summary.files[0] == out
    assert [path.name for path in summary.files[1:]] == [
        "astronaut_face1_input.png", "astronaut_face1_restored.png", "astronaut_face1_sheet.png"
    ]  # fmt: skip
    assert all(path.is_file() for path in summary.files)
    assert read_image(out).shape == (512, 512, 3)
    assert (read_image(out) != read_image(photo)).any()
    np.testing.assert_array_equal(read_image(summary.files[2]), summary.faces[0].image)
    text = str(summary)
    for part in (
        "1 of 1 faces restored",
        "specific output",
        "1.png, 2.jpg, 3.png",
        "skipped reference blank.png",
        "wrote",
    ):
        assert part in text


def test_without_references_the_output_is_generic_and_repeats(tmp_path, photo, weights):
    for name in ("one.png", "two.png"):
        assert restore_photograph(photo, weights, tmp_path / name).faces[0].output == "generic"
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_weights_that_the_face_library_lacks_are_not_laid_to_the_network(tmp_path, photo, weights, monkeypatch):
    monkeypatch.setenv("DMDNET_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(WeightsError) as caught:
        restore_photograph(photo, weights, tmp_path / "out.png", backend="facexlib")
    assert "facexlib" in str(caught.value)
    assert str(weights) not in str(caught.value)


def bad_requests(tmp_path, photo, weights, two_faces):
    """What is asked for, the error, and what its message says."""
    blank = write_image(tmp_path / "blank.png", np.full((30, 40, 3), 99, np.uint8))
    (tmp_path / "page.jpg").write_bytes(b"<html></html>")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    torch.save({"some": torch.zeros(3)}, tmp_path / "other.pth")
    content = torch.load(weights, weights_only=True)
    for key in {"params", "params_ema"} & set(content):
        content[key] = {name: torch.full_like(item, torch.nan) for name, item in content[key].items()}
    torch.save(content, tmp_path / "nan.pth")
    (tmp_path / "file").write_bytes(b"")
    good = {"photo_path": photo, "weights": weights, "out": tmp_path / "out.png"}
    return {
        "no face": (good | {"photo_path": blank}, FaceError, r"blank\.png: no face was found"),
        "several faces": (good | {"photo_path": two_faces}, FaceError, r"two\.png: shows 2 faces.*--face largest"),
        "no such number": (good | {"face": 2}, FaceError, "there is no face 2"),
        "no such choice": (good | {"face": "first"}, FaceError, "'first': expected only, largest, all"),
        "not a picture": (good | {"photo_path": tmp_path / "page.jpg"}, DataError, r"page\.jpg: is a web page"),
        "no photograph": (good | {"photo_path": tmp_path / "no.png"}, DataError, r"no\.png: there is no such file"),
        "a folder": (good | {"photo_path": tmp_path}, DataError, "is a folder, a file was expected"),
        "no output folder": (good | {"out": tmp_path / "no" / "out.png"}, DataError, "no does not exist"),
        "output suffix": (good | {"out": tmp_path / "out.doc"}, DataError, r"out\.doc: unknown kind of picture"),
        "output is the photograph": (good | {"out": photo}, DataError, "is the photograph itself"),
        "no weights": (good | {"weights": tmp_path / "no.pth"}, WeightsError, r"no\.pth: there is no such weights"),
        "broken weights": (good | {"weights": tmp_path / "broken.pth"}, WeightsError, r"broken\.pth: is damaged"),
        "other weights": (good | {"weights": tmp_path / "other.pth"}, WeightsError, r"other\.pth: has no 'network'"),
        "weights not finite": (good | {"weights": tmp_path / "nan.pth"}, WeightsError, r"nan\.pth: .*not finite"),
        "a device that is not used": (good | {"device": "meta"}, ConfigError, "'meta': expected auto, cpu"),
        "no references": (good | {"references": tmp_path / "empty"}, FaceError, "empty: there is no picture in it"),
        "no reference folder": (good | {"references": tmp_path / "no"}, DataError, "no: there is no such folder"),
        "unknown output": (good | {"output": "best"}, ConfigError, "'best': expected one of auto, specific, generic"),
        "specific alone": (good | {"output": "specific"}, FaceError, "needs references"),
        "unknown device": (good | {"device": "tpu9"}, ConfigError, "'tpu9': expected auto, cpu"),
        "unknown back end": (good | {"backend": "dlip"}, FaceError, "did you mean 'dlib'"),
        "faces into a file": (good | {"save_faces": tmp_path / "file"}, DataError, "file: is a file"),
        "faces nowhere": (good | {"save_faces": tmp_path / "no" / "faces"}, DataError, "no does not exist"),
    }  # fmt: skip


CASES = [
    "no face", "several faces", "no such number", "no such choice", "not a picture", "no photograph", "a folder",
    "no output folder", "output suffix", "output is the photograph", "no weights", "broken weights", "other weights",
    "weights not finite", "a device that is not used",
    "no references", "no reference folder", "unknown output", "specific alone", "unknown device", "unknown back end",
    "faces into a file", "faces nowhere",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_bad_request_is_one_clear_error_and_nothing_is_written(tmp_path, photo, weights, two_faces, case):
    cases = bad_requests(tmp_path, photo, weights, two_faces)
    assert set(cases) == set(CASES)
    arguments, error, message = cases[case]
    before = {path: path.stat().st_mtime_ns for path in [*tmp_path.rglob("*"), photo]}
    with pytest.raises(error, match=message) as caught:
        restore_photograph(**arguments)
    assert isinstance(caught.value, DMDNetError)
    assert "\n" not in str(caught.value)
    assert {path: path.stat().st_mtime_ns for path in [*tmp_path.rglob("*"), photo]} == before


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ConfigError, match="GPUs here"):
        choose_device("cuda:99")


def test_the_demo_photograph_is_degraded_by_rule_and_its_face_is_found(photo, backend):
    degraded = read_image(photo)
    np.testing.assert_array_equal(degraded, degrade(demo_photograph()))
    error = np.mean((degraded.astype(float) - demo_photograph()) ** 2)
    assert 20 < 10 * np.log10(255**2 / error) < 28
    assert len(backend.detect(degraded)) == 1


def test_the_script(tmp_path, photo, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("make_demo_photo", REPOSITORY / "scripts" / "make_demo_photo.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(sys, "argv", ["make_demo_photo.py", str(tmp_path / "a.png")])
    assert script.main() == 0
    assert (tmp_path / "a.png").read_bytes() == photo.read_bytes()
    monkeypatch.setattr(sys, "argv", ["make_demo_photo.py", str(tmp_path / "no" / "a.png")])
    assert script.main() == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_the_sheet_shows_everything():
    faces = [np.full((32, 32, 3), 10 * (n + 1), np.uint8) for n in range(7)]
    sheet = face_sheet(faces[0], faces[1], faces[2:])
    assert sheet.shape == (32 + 2 * 20, 68, 3)
    assert {10, 20, 30, 40, 50, 60, 70} <= set(np.unique(sheet))
    assert face_sheet(faces[0], faces[1]).shape == (32, 68, 3)
