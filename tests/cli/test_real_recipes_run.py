"""The full-size recipes run from the command line on small trees in the layouts of FFHQ and CelebRef-HQ."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dmdnet.cli import test as test_command
from dmdnet.cli import train as train_command
from dmdnet.data.demo_faces import make_demo_faces

ROOT = Path(__file__).parents[2]
SIZE = 64
TRAINED_ON = ("00002", "00003")  # people of CelebRef-HQ that the recipe trains on, and three that it leaves out
HELD_OUT = ("00001", "00005", "00022")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write `ffhq/` and `CelebRefHQ/` with drawn faces, as datasets/README.md shows them."""
    root = tmp_path_factory.mktemp("datasets")
    made = root / "made"
    people = (*TRAINED_ON, *HELD_OUT)
    make_demo_faces(made, identities=len(people), images_per_identity=2, size=SIZE)
    celebref, ffhq = root / "CelebRefHQ", root / "ffhq"
    for person, folder in zip(people, sorted((made / "images").iterdir()), strict=True):
        shutil.copytree(folder, celebref / "CelebHQRefForRelease" / person)
        shutil.copytree(made / "landmarks" / folder.name, celebref / "landmarks" / person)
    for number, picture in enumerate(sorted((made / "images").rglob("*.png"))):
        name = f"00000/{number:05}.png"
        landmarks = made / "landmarks" / f"{picture.relative_to(made / 'images').as_posix()}.txt"
        for source, target in ((picture, ffhq / "images1024x1024" / name), (landmarks, ffhq / f"landmarks/{name}.txt")):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return root


def small(datasets: Path, out: Path, *sets: str) -> list[str]:
    """Return overrides: a network of 64 pixels on the CPU, pictures from `datasets`, results below `out`."""
    overrides = [
        "device=cpu", f"network_g.image_size={SIZE}", "network_g.base_channels=4", "network_g.dictionary_size=4",
        f"path.experiments_root={out}/experiments", f"path.results_root={out}/results", "val.metrics.psnr.type=PSNR",
    ]  # fmt: skip
    celebref = datasets / "CelebRefHQ"
    for entry in sets:
        overrides += [
            f"{entry}.image_size={SIZE}",
            f"{entry}.layout.dataroot_gt={celebref / 'CelebHQRefForRelease'}",
            f"{entry}.layout.dataroot_landmarks={celebref / 'landmarks'}",
        ]
    return overrides


def test_training_and_test_run_on_the_real_layouts(
    datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # the recipes name the list of held-out people from here
    celebref = small(datasets, tmp_path, "datasets.train.datasets.1", "datasets.val")
    ffhq = [
        f"datasets.train.datasets.0.image_size={SIZE}",
        f"datasets.train.datasets.0.layout.dataroot_gt={datasets / 'ffhq' / 'images1024x1024'}",
    ]
    short = [
        "train.total_iter=2", "datasets.train.batch_size_per_gpu=2", "datasets.train.num_worker_per_gpu=0",
        "datasets.val.num_worker_per_gpu=0", "val.val_freq=2", "network_d.base_channels=4", "network_d.num_scales=2",
        # VGG19's weights cannot be shipped; the adversarial loss begins at once
        "train.losses=[{type: L1Loss, loss_weight: 10.0}, {type: GANLoss, start_iter: 2}]",
    ]  # fmt: skip
    arguments = ["-opt", "options/train_dmdnet.yml", "--launcher", "none", "--set", *celebref, *ffhq, *short]
    assert train_command.main(arguments) == 0
    weights = tmp_path / "experiments" / "train_dmdnet" / "models" / "net_g_latest.pth"
    assert weights.is_file()

    shared = small(datasets, tmp_path, "datasets.val")
    test = ["datasets.val.num_worker_per_gpu=0", f"path.pretrain_network_g={weights}"]
    assert test_command.main(["-opt", "options/test_dmdnet.yml", "--launcher", "none", "--set", *shared, *test]) == 0
    records = json.loads((tmp_path / "results" / "test_dmdnet" / "summary.json").read_text())
    counted = {(r["method"], r["n"]) for r in records if r["kind"] == "mean" and r["metric"] == "psnr"}
    assert counted == {(mode, 2 * len(HELD_OUT)) for mode in ("input", "generic", "specific", "wrong_person")}
