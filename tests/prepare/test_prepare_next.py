"""The command that `prepare` prints at its end, run as it stands (with a smaller network)."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from fake_faces import NAME, write_people, write_person

from dmdnet.cli import train as train_command
from dmdnet.cli.main import main
from dmdnet.prepare.finish import LARGE_FACE
from dmdnet.prepare.report import RECIPE

ROOT = Path(__file__).parents[2]


def prepared(root: Path, output: Path, capsys) -> list[str]:
    """Prepare `root` and return the arguments of the command that is printed."""
    arguments = ["--face-backend", NAME, "--workers", "0", "--size", "64", "--min-face", "16"]
    assert main(["prepare", str(root), str(output), *arguments]) == 0
    command = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert command[:2] == ["python", "train.py"]
    return command[2:]


def runs(command: list[str], tmp_path: Path, monkeypatch) -> None:
    """Go through a dry run: options are valid, data sets are built, a batch of each is read."""
    monkeypatch.chdir(ROOT)
    small = ["device=cpu", "network_g.base_channels=4", "network_g.dictionary_size=4", "network_d.base_channels=4",
             "datasets.train.num_worker_per_gpu=0", f"path.experiments_root={tmp_path}/experiments"]  # fmt: skip
    assert train_command.main([*command, *small, "--dry-run"]) == 0


def test_the_floor_is_the_recipes():
    recipe = yaml.safe_load((ROOT / RECIPE).read_text(encoding="utf-8"))
    assert recipe["datasets"]["train"]["min_source_side"] == LARGE_FACE


@pytest.mark.parametrize("pictures", [1, 3])
def test_one_person(pictures, tmp_path, capsys, monkeypatch):
    write_person(tmp_path / "in" / "Me", (200, 60, 60), pictures, size=160)
    command = prepared(tmp_path / "in", tmp_path / "out", capsys)
    assert command[-3:] == ["datasets.val=~", "val.val_freq=~", "datasets.train.wrong_person_prob=0"]
    runs(command, tmp_path, monkeypatch)


def test_two_people_who_are_not_divided(tmp_path, capsys, monkeypatch):
    for name, colour in (("Ann", (200, 60, 60)), ("Bea", (60, 60, 200))):
        write_person(tmp_path / "in" / name, colour, 2, size=160)
    command = prepared(tmp_path / "in", tmp_path / "out", capsys)
    assert command[-2:] == ["datasets.val=~", "val.val_freq=~"]
    runs(command, tmp_path, monkeypatch)


def test_faces_below_the_recipes_floor(tmp_path, capsys, monkeypatch):
    command = prepared(write_people(tmp_path / "in", 2, size=80), tmp_path / "out", capsys)
    assert command[-1] == "datasets.train.min_source_side=~"
    runs(command, tmp_path, monkeypatch)


def test_an_output_whose_name_means_something_in_yaml(tmp_path, capsys, monkeypatch):
    command = prepared(write_people(tmp_path / "in", 2, size=160), tmp_path / "out: of #1 [x]", capsys)
    assert "min_source_side" not in " ".join(command)
    runs(command, tmp_path, monkeypatch)
