"""The same benchmark once more: after pictures, metrics, weights or options have changed, or a disk hesitated."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from made_benchmark import make_benchmark, options, write_weights

from dmdnet.data.reference_face_dataset import ReferenceFaceDataset
from dmdnet.errors import DataError, WeightsError
from dmdnet.evaluation import set_run
from dmdnet.evaluation.methods import folder
from dmdnet.evaluation.methods.base import TestSet
from dmdnet.evaluation.methods.building import build_methods
from dmdnet.evaluation.naming import safe_name
from dmdnet.evaluation.run import run_test
from dmdnet.images import read_image, write_image

ONE = ("datasets.test_2=~", "methods.ours.modes=[generic]", "methods.ours.references=[]")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_benchmark(tmp_path, people=2, pictures=2)
    return tmp_path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[str, ...]]]:
    """What was made by each run since the list was cleared: batches with their columns."""
    found: list[tuple[int, tuple[str, ...]]] = []
    whole = set_run.plan

    def noted(*arguments: object) -> list[tuple[int, tuple[str, ...]]]:
        left = whole(*arguments)  # type: ignore[arg-type]
        found.extend(left)
        return left

    monkeypatch.setattr(set_run, "plan", noted)
    return found


def records(out_dir: Path) -> list[dict]:
    found: list[dict] = json.loads((out_dir / "summary.json").read_text())
    return found


def test_only_what_has_changed_is_made_again(root: Path, made: list) -> None:
    # without other people's references, which come from the picture that changes
    small = (*ONE, "datasets.test_1.batch_size_per_gpu=2", "datasets.test_1.wrong_references=false")
    before = records(run_test(options(root, *small)))
    made.clear()
    assert records(run_test(options(root, *small))) == before
    assert made == []
    write_weights(root / "net_g.pth", seed=1)
    after = records(run_test(options(root, *small)))
    assert made == [(0, ("ours_generic",)), (1, ("ours_generic",))]
    assert {r["weights"]["ours/net_g.pth"] for r in after if "ours" in r["method"]}.isdisjoint(
        r["weights"]["ours/net_g.pth"] for r in before if "ours" in r["method"]
    )
    made.clear()
    picture = root / "faces/images/00002/1.png"
    write_image(picture, read_image(picture)[:, ::-1].copy())
    run_test(options(root, *small))
    assert made == [(1, ("input", "ours_generic", "other"))]
    made.clear()
    (root / "other/x4/00001/1.png").unlink()
    changed = records(run_test(options(root, *small)))
    assert made == [(0, ("other",))]
    made.clear()
    shutil.rmtree(root / "results")
    assert records(run_test(options(root, *small))) == changed  # the same as of a run that never saw the old files
    made.clear()
    more = records(run_test(options(root, *small, "val.metrics.ssim.type=SSIM")))
    assert len(made) == 2
    assert {r["metric"] for r in more} == {"psnr", "ssim"}


def test_pictures_that_could_not_be_read_are_tried_again(
    root: Path, made: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = records(run_test(options(root, *ONE, "name=undisturbed")))
    usual = ReferenceFaceDataset.__getitem__

    def hesitating(self: ReferenceFaceDataset, draw: object) -> object:
        if self.key(draw.record)[1].endswith("2.png"):  # type: ignore[attr-defined]
            raise DataError("2.png: cannot be read: Input/output error")
        return usual(self, draw)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(ReferenceFaceDataset, "__getitem__", hesitating)
        first = records(run_test(options(root, *ONE)))
        assert {r["n_unusable"] for r in first} == {2}
        made.clear()
        assert records(run_test(options(root, *ONE))) == first
        assert made == []  # still unreadable: no reason to make the others again
    assert records(run_test(options(root, *ONE))) == undisturbed
    assert len(made) == 1


def test_results_of_another_tool_that_could_not_be_read_are_tried_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = folder.read_image

    def hesitating(path: Path) -> object:
        if path.name == "2.png":
            raise DataError(f"{path}: cannot be read: Input/output error")
        return usual(path)

    with monkeypatch.context() as broken:
        broken.setattr(folder, "read_image", hesitating)
        first = records(run_test(options(root, *ONE)))
    assert next(r for r in first if r["method"] == "other")["failures"] == {"unreadable": 2}
    second = records(run_test(options(root, *ONE)))
    assert next(r for r in second if r["method"] == "other")["failures"] == {}


def test_a_mistake_leaves_no_folder(root: Path) -> None:
    with pytest.raises(WeightsError):
        run_test(options(root, "methods.ours.weights=nowhere.pth"))
    assert not (root / "results").exists()


@pytest.mark.parametrize("name", ["report.html", "options.yml", "x4_pictures.csv", "tables.md"])
def test_a_folder_in_the_place_of_a_file_is_said_before_any_work(root: Path, name: str) -> None:
    (root / "results/compared" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=f"{name}: is a folder"):
        run_test(options(root, *ONE))
    assert not (root / "results/compared/journal").exists()


def test_a_file_in_the_place_of_a_folder_is_one_error(root: Path) -> None:
    (root / "results/compared/x4").mkdir(parents=True)
    (root / "results/compared/x4/input").write_text("")
    with pytest.raises(DataError, match="x4/input/00001: the folder cannot be made"):
        run_test(options(root, *ONE))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(root: Path) -> None:
    (root / "results").mkdir(mode=0o555)
    with pytest.raises(DataError, match=r"is not writable; set path\.results_root"):
        run_test(options(root, *ONE))


def test_a_place_that_is_not_writable_is_said_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != root)
    with pytest.raises(DataError, match=r"is not writable; set path\.results_root"):
        run_test(options(root, *ONE))


def test_results_of_another_tool_that_are_all_bad_are_no_matter_of_weights(root: Path) -> None:
    for path in (root / "other").rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"other restored no picture at all.*its dataroot") as caught:
        run_test(options(root, *ONE))
    assert "weights" not in str(caught.value)


def test_the_name_of_a_set_finds_folders_as_people_and_as_we_name_them(root: Path) -> None:
    name = "LFW (small)"
    test_set = TestSet(name=name, keys=(("00001", "1.png"),), image_size=64)
    renamed = options(root, f"datasets.test_1.name={name}", "datasets.test_2=~", "methods.other.sets=~")
    for place in (safe_name(name), name):  # ours first: where there are both, the name as it is wins
        shutil.copytree(root / "other/x4", root / "other" / place)
        other = build_methods(renamed, "cpu")[-1]  # type: ignore[arg-type]
        other.start(test_set)
        assert f"/other/{place}/" in other.stamp(("00001", "1.png"))
