"""The staged recipes, one after the other, from the command line on a small tree where they expect it.

Losses whose weights may not be shipped are taken out; everything else of a recipe is as it stands, but small.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from dmdnet.cli import train as train_command
from dmdnet.config import load_options
from dmdnet.data.demo_faces import make_demo_faces
from dmdnet.data.layouts.celebref_hq import celebref_split

OPTIONS = Path(__file__).parents[2] / "options"
SIZE = 64
NEED_WEIGHTS = {"VGG19PerceptualLoss", "StyleLoss", "IdentityLoss", "LPIPSLoss"}
SMALL = [
    "device=cpu", f"network_g.image_size={SIZE}", "network_g.base_channels=4", "network_g.dictionary_size=4",
    *(f"datasets.{entry}.image_size={SIZE}" for entry in ("train.datasets.0", "train.datasets.1", "val")),
    "train.total_iter=2", "train.warmup_iter=0", "datasets.train.batch_size_per_gpu=2",
    "datasets.train.num_worker_per_gpu=0", "datasets.val.num_worker_per_gpu=0", "val.val_freq=9", "val.save_img=false",
]  # fmt: skip
SMALL_JOINT = [
    "network_d.parts.picture.base_channels=4", "network_d.parts.picture.num_scales=2",
    "network_d.parts.picture.num_layers=2", "network_d.parts.components.base_channels=4",
    "network_d.parts.components.num_layers=2", "network_d.parts.components.patch_size=16",
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with FFHQ's and CelebRef-HQ's trees of drawn faces."""
    root, made = tmp_path_factory.mktemp("place"), tmp_path_factory.mktemp("made")
    make_demo_faces(made, identities=4, images_per_identity=2, size=SIZE)
    sets = root / "datasets"
    names = map("{:05}".format, range(1, 200))
    people = {split: [] for split in ("train", "val", "test")}
    for name in names:
        people[celebref_split(name)].append(name)
    wanted = [*people["train"][:2], *people["val"][:2]]
    for number, (person, folder) in enumerate(zip(wanted, sorted((made / "images").iterdir()), strict=True)):
        for k in (1, 2):
            landmarks = made / "landmarks" / folder.name / f"{k}.png.txt"
            for picture in (
                sets / "CelebRefHQ" / "CelebHQRefForRelease" / person / f"{k}.png",
                sets / "ffhq" / "images1024x1024" / "00000" / f"{2 * number + k:05}.png",
            ):
                picture.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / f"{k}.png", picture)
                # beside the picture, and where CelebRef-HQ has its landmarks
                beside = sets / "CelebRefHQ" / "landmarks" / picture.parent.name / f"{picture.name}.txt"
                target = beside if "CelebRefHQ" in picture.parts else picture.with_name(f"{picture.name}.txt")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(landmarks, target)
    return root


def train(recipe: str, *overrides: str) -> None:
    losses = [loss.as_dict() for loss in load_options(OPTIONS / recipe).train.losses if loss.type not in NEED_WEIGHTS]
    arguments = ["-opt", str(OPTIONS / recipe), "--launcher", "none"]
    assert train_command.main([*arguments, "--set", *SMALL, f"train.losses={json.dumps(losses)}", *overrides]) == 0


def weights(name: str, network: str) -> dict[str, torch.Tensor]:
    path = Path("experiments") / name / "models" / f"{network}_latest.pth"
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["params"]
    return found


def test_the_stages_follow_each_other(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    train("train_dmdnet_stage1.yml")
    models = place / "experiments" / "train_dmdnet_stage1" / "models"
    assert not (models / "net_d_latest.pth").exists()
    train("train_dmdnet_stage2.yml", *SMALL_JOINT)
    first, second = weights("train_dmdnet_stage1", "net_g"), weights("train_dmdnet_stage2", "net_g")
    assert first.keys() == second.keys()
    # two steps of Adam at 1e-4 from the first stage's averaged weights, which are near its last ones
    assert max((first[key] - second[key]).abs().max().item() for key in first if not key.endswith(("_u", "_v"))) < 0.01
    assert {key.split(".")[1] for key in weights("train_dmdnet_stage2", "net_d")} == {"picture", "components"}

    pretrained = f"path.pretrain_network_g={models / 'net_g_latest.pth'}"  # in place of the authors' file
    small = ["network_d.base_channels=4", "network_d.num_scales=2", "network_d.num_layers=2"]
    train("finetune_dmdnet.yml", pretrained, *small, "train.losses.1.r1_every=1")
    assert weights("finetune_dmdnet", "net_d")


def test_stage_two_without_stage_one_says_what_is_missing(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").symlink_to(place / "datasets")
    losses = 'train.losses=[{"type": "GANLoss"}]'
    arguments = ["-opt", str(OPTIONS / "train_dmdnet_stage2.yml"), "--launcher", "none", "--set", *SMALL, *SMALL_JOINT]
    assert train_command.main([*arguments, losses]) != 0
    assert "train_dmdnet_stage1/models/net_g_latest.pth" in capsys.readouterr().err


def test_the_picture_part_can_be_a_unet() -> None:
    options = load_options(OPTIONS / "train_dmdnet_stage2.yml", ["network_d.parts.picture.type=UNetDiscriminator"])
    assert options.network_d.options["parts"]["picture"].type == "UNetDiscriminator"
    relativistic = [f"train.losses.{index}.relativistic=true" for index in (4, 5)]
    losses = load_options(OPTIONS / "train_dmdnet_stage2.yml", relativistic).train.losses
    assert [loss.options.get("relativistic", False) for loss in losses] == [False] * 4 + [True] * 2 + [False]
