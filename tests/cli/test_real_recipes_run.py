"""The full-size recipes run from the command line on small trees in the layouts of the real sets.

The trees lie where the recipes and datasets/README.md say, so no path is given here.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dmdnet.cli import test as test_command
from dmdnet.cli import train as train_command
from dmdnet.data.demo_faces import make_demo_faces
from dmdnet.data.layouts.celebref_hq import celebref_split

OPTIONS = Path(__file__).parents[2] / "options"
SIZE = 64
PEOPLE = {
    split: [person for person in map("{:05}".format, range(1, 200)) if celebref_split(person) == split][:2]
    for split in ("train", "val", "test")
}
SMALL_NETWORK = [
    "device=cpu",
    f"network_g.image_size={SIZE}",
    "network_g.base_channels=4",
    "network_g.dictionary_size=4",
]
# VGG19's weights cannot be shipped; the adversarial loss begins at once
SHORT = [
    "train.total_iter=2", "datasets.train.batch_size_per_gpu=2", "datasets.train.num_worker_per_gpu=0",
    "datasets.val.num_worker_per_gpu=0", "val.val_freq=2", "network_d.base_channels=4", "network_d.num_scales=2",
    "train.losses=[{type: L1Loss, loss_weight: 10.0}, {type: GANLoss, start_iter: 2}]",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return drawn people: a folder of two pictures each, with `<picture>.txt` beside them."""
    root = tmp_path_factory.mktemp("made")
    make_demo_faces(root, identities=6, images_per_identity=2, size=SIZE)
    folders = sorted((root / "images").iterdir())
    for folder in folders:
        for landmarks in (root / "landmarks" / folder.name).iterdir():
            shutil.copy(landmarks, folder / landmarks.name)
    return folders


@pytest.fixture(scope="module")
def place(made: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `datasets/` as datasets/README.md shows it."""
    root = tmp_path_factory.mktemp("place")
    sets = root / "datasets"
    for person, folder in zip([person for people in PEOPLE.values() for person in people], made, strict=True):
        for number in (1, 2):
            put(folder, number, sets / "CelebRefHQ" / "CelebHQRefForRelease" / person / f"{number}.png",
                sets / "CelebRefHQ" / "landmarks")  # fmt: skip
    for number, folder in enumerate(made):
        for k in (1, 2):
            put(folder, k, sets / "ffhq" / "images1024x1024" / "00000" / f"{2 * number + k:05}.png",
                sets / "ffhq" / "landmarks")  # fmt: skip
    for number in (1, 2):
        put(
            made[0],
            number,
            sets / "WebPhoto-Test" / f"face {number}.png",
            sets / "landmarks" / "WebPhoto-Test",
            depth=0,
        )
    celeba = sets / "CelebA-Test-Ref"
    for number, folder in enumerate(made[:2]):
        put(folder, 1, celeba / "celeba_test_images" / "gt" / f"{number:08}.png", celeba / "landmarks")
        put(folder, 1, celeba / "celeba_test_images" / "lq" / f"{number:08}.png", None)
        put(folder, 2, sets / "CelebAMask-HQ" / "CelebA-HQ-img" / f"{number}.png", celeba / "landmarks")
        put(folder, 1, sets / "dmdnet_test" / "lq" / f"{number}.png", sets / "dmdnet_test" / "landmarks")
        put(folder, 2, sets / "dmdnet_test" / "refs" / f"{number}" / "a b.png", sets / "dmdnet_test" / "marks")
    lines = "".join(f"{n:08}.png,{n:08}.png,\"['{n}.png']\"\n" for n in (0, 1))
    write(celeba / "test_references.csv", f"gt_image,lq_image,ref_image\n{lines}")
    write(sets / "dmdnet_test" / "list.txt", "lq/0.png\trefs/0\tmarks/0\nlq/1.png\n")
    ffhq_ref(sets / "FFHQ-Ref", made)
    return root


def ffhq_ref(root: Path, made: list[Path]) -> None:
    """Pictures 1 and 2 of FFHQ show one person, 3 and 4 the next, ...; two people for each split."""
    for split, (first, second), columns in (
        ("train", (1, 3), "gt_image,ref_image"),
        ("val", (5, 7), "gt_image,lq_image,ref_image"),
        ("test", (9, 11), "gt_image,lq_image,ref_image"),
    ):
        lines = [columns]
        for number in (first, second):
            names = [f"{number:05}.png"] * columns.count("image")
            lines.append(",".join([*names[:-1], f"\"['{number + 1:05}.png']\""]))
        write(root / "reference_mapping" / f"{split}_references.csv", "\n".join(lines) + "\n")
        pictures = "".join(f"{number + k:05}.png\n" for number in (first, second) for k in (0, 1))
        write(root / "id_based_ffhq_split" / f"{split}_image.txt", pictures)
    for number, folder in ((9, made[4]), (11, made[5])):
        put(folder, 1, root / "test_images" / "moderate_degrad" / f"{number:05}.png", None)


def put(folder: Path, number: int, picture: Path, landmarks: Path | None, depth: int = 1) -> None:
    """Copy a drawn picture, and its landmarks to `landmarks`, below as many folders as `depth` says."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / f"{number}.png", picture)
    if landmarks is not None:
        target = landmarks.joinpath(*picture.parts[-1 - depth :]).with_name(f"{picture.name}.txt")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / f"{number}.png.txt", target)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def arguments(recipe: str, *overrides: str) -> list[str]:
    return ["-opt", str(OPTIONS / recipe), "--launcher", "none", "--set", *SMALL_NETWORK, *overrides]


def counts(place: Path, name: str, metric: str = "psnr") -> dict[str, int]:
    """Return method -> number of pictures in a summary."""
    records = json.loads((place / "results" / name / "summary.json").read_text())
    return {r["method"]: r["n"] for r in records if r["kind"] == "mean" and r["metric"] == metric}


@pytest.fixture(scope="module")
def weights(place: Path) -> Path:
    """Train `train_dmdnet.yml` for two steps; return its weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        sizes = [f"datasets.{entry}.image_size={SIZE}" for entry in ("train.datasets.0", "train.datasets.1", "val")]
        assert train_command.main(arguments("train_dmdnet.yml", *sizes, *SHORT, "val.metrics.psnr.type=PSNR")) == 0
    found = place / "experiments" / "train_dmdnet" / "models" / "net_g_latest.pth"
    assert found.is_file()
    return found


def run_test(recipe: str, entry: str, place: Path, weights: Path, patch: pytest.MonkeyPatch, *overrides: str) -> None:
    patch.chdir(place)
    own = [f"datasets.{entry}.image_size={SIZE}", f"datasets.{entry}.num_worker_per_gpu=0"]
    if recipe.startswith("benchmarks/"):  # their metrics want weights, or larger pictures
        own += ["val.metrics=~", "val.metrics.psnr.type=PSNR"]
    assert test_command.main(arguments(recipe, *own, f"path.pretrain_network_g={weights}", *overrides)) == 0


def test_celebref_hq(place: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_test("test_dmdnet.yml", "val", place, weights, monkeypatch)
    assert counts(place, "test_dmdnet") == dict.fromkeys(("input", "generic", "specific", "wrong_person"), 4)


def test_ffhq_ref(place: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_test("benchmarks/ffhq_ref.yml", "test_moderate", place, weights, monkeypatch, "datasets.test_severe=~")
    found = counts(place, "ffhq_ref")
    assert found["ours_specific@5"] == found["ours_wrong_person@1"] == found["input"] == 2


def test_celeba_test_ref(place: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_test("benchmarks/celeba_test_ref.yml", "test", place, weights, monkeypatch)
    assert counts(place, "celeba_test_ref")["ours_specific@3"] == 2


def test_severities_of_celebref_hq(place: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [f"datasets.test_x{x}.{item}" for x in (8, 16) for item in (f"image_size={SIZE}", "num_worker_per_gpu=0")]
    run_test("benchmarks/celebref_hq.yml", "test_x4", place, weights, monkeypatch, *others)
    records = json.loads((place / "results/celebref_hq/summary.json").read_text())
    whole = [r for r in records if (r["kind"], r["method"], r["group"]) == ("mean", "input", "")]
    inputs = {r["severity"]: r["mean"] for r in whole}
    assert list(inputs) == [4, 8, 16]
    assert inputs[4] > inputs[8] > inputs[16]


def test_a_list_without_ground_truth(place: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_test("benchmarks/dmdnet_list.yml", "test", place, weights, monkeypatch)
    restored = place / "results" / "dmdnet_list" / "dmdnet_list"
    assert len(list((restored / "ours_generic").rglob("*.png"))) == 2
    assert len(list((restored / "ours_specific").rglob("*.png"))) == 1


def test_pictures_without_ground_truth(place: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_test("benchmarks/webphoto.yml", "test", place, weights, monkeypatch)
    assert len(list((place / "results" / "webphoto" / "webphoto" / "ours_generic").rglob("*.png"))) == 2


def test_training_on_ffhq_ref(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    sizes = [f"datasets.{entry}.image_size={SIZE}" for entry in ("train", "val")]
    assert train_command.main(arguments("train_ffhq_ref.yml", *sizes, *SHORT, "val.val_freq=9")) == 0
