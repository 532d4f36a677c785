from __future__ import annotations

from pathlib import Path

import pytest

from dmdnet.config import load_options, to_yaml
from dmdnet.data.demo_faces import make_demo_faces
from dmdnet.engine.dry_run import count, describe_networks, dry_run
from dmdnet.errors import ConfigError, DataError
from dmdnet.models.base import build_model

RECIPE = """\
name: dry
model_type: DMDNetModel
device: cpu
network_g: {{type: DMDNet, image_size: 128, base_channels: 8, dictionary_size: 4}}
network_d: {{type: MultiScaleDiscriminator, base_channels: 8, num_scales: 1}}
datasets:
  train:
    name: faces
    type: ReferenceFaceDataset
    layout: {{type: CelebRefHQLayout, dataroot_gt: {root}/images}}
    image_size: 128
    batch_size_per_gpu: 3
    num_worker_per_gpu: 2
  val:
    name: others
    type: ReferenceFaceDataset
    layout: {{type: CelebRefHQLayout, dataroot_gt: {root}/images}}
    image_size: 128
train:
  total_iter: 10
  optim_g: {{type: Adam}}
  optim_d: {{type: Adam}}
  losses: [{{type: L1Loss}}, {{type: GANLoss}}]
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dry")
    make_demo_faces(folder / "faces", identities=2, images_per_identity=2, size=128, seed=1)
    path = folder / "recipe.yml"
    path.write_text(RECIPE.format(root=folder / "faces"))
    return path


def test_options_networks_and_batches_are_printed(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = load_options(recipe)
    dry_run(options)
    printed = capsys.readouterr().out
    assert to_yaml(options) in printed
    assert "net_g: DMDNet, " in printed
    assert "net_d: MultiScaleDiscriminator, " in printed
    assert "# one batch of datasets.train\nlq_BCHW: (3, 3, 128, 128) uint8\nlq_boxes_B44: (3, 4, 4) int32\n" in printed
    assert "# one batch of datasets.val\nlq_BCHW: (1, 3, 128, 128) uint8\n" in printed
    assert "references.mask_BR: (3, " in printed
    assert list(tmp_path.iterdir()) == []  # nothing is written


def test_the_parts_of_a_network_add_up(recipe: Path) -> None:
    model = build_model(load_options(recipe), "cpu")
    total = count(model.networks()["net_g"])
    lines = describe_networks(model)
    end = lines.index(next(line for line in lines if line.startswith("net_d")))
    assert lines[0] == f"net_g: DMDNet, {total:,} parameters"
    assert sum(int(line.rsplit(": ", 1)[1].replace(",", "")) for line in lines[1:end]) == total


def test_missing_data_stop_it(recipe: Path) -> None:
    options = load_options(recipe, ["datasets.train.layout.dataroot_gt=nowhere"])
    with pytest.raises(DataError, match="nowhere"):
        dry_run(options)


def test_a_validation_on_trained_people_is_refused(recipe: Path) -> None:
    options = load_options(recipe, ["val.val_freq=5"])
    with pytest.raises(ConfigError, match=r"datasets\.val has faces of datasets\.train: person 00001"):
        dry_run(options)
