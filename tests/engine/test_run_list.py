"""What `python -m dmdnet runs` finds in folders that runs have left."""

import os
import signal

import pytest
import torch
import yaml

from dmdnet.cli.main import main
from dmdnet.config import load_options
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.distributed import World
from dmdnet.engine.history import append_validation
from dmdnet.engine.run_list import list_runs, summarise_run
from dmdnet.engine.run_lock import run_lock
from dmdnet.engine.train import train
from dmdnet.errors import DataError
from dmdnet.models.dmdnet_model import DMDNetModel


def folder_of(options):
    return CheckpointFolder(f"{options.path.experiments_root}/{options.name}").root


def test_a_run_through_its_states(option_file, monkeypatch):
    path = option_file(
        val={"val_freq": 1, "metrics": {"psnr": {"type": "PSNR"}}, "modes": ["input", "generic", "wrong_person"]}
    )
    content = yaml.safe_load(path.read_text())
    content["datasets"]["val"] = {**content["datasets"]["train"], "name": "people", "allow_split_overlap": True}
    path.write_text(yaml.safe_dump(content))
    options = load_options(path)
    step = DMDNetModel.step

    def stopped(self, batch, iteration):
        if iteration == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, iteration)

    def broken(self, batch, iteration):
        assert summarise_run(folder_of(options)).state == "running"
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(DMDNetModel, "step", stopped)
        with pytest.raises(SystemExit):
            train(options)
    found = summarise_run(folder_of(options))
    assert (found.name, found.state, found.iteration, found.total) == ("tiny", "stopped", 3, 4)
    assert found.best[0] == "people/generic_psnr"
    with monkeypatch.context() as patch:
        patch.setattr(DMDNetModel, "step", broken)
        with pytest.raises(ZeroDivisionError):
            train(options)
    assert summarise_run(folder_of(options)).state == "failed"
    train(options)
    found = summarise_run(folder_of(options))
    assert (found.state, found.iteration) == ("finished", 4)


def test_the_table(tmp_path, capsys):
    for name, when in (("older", 1e9), ("newer", 2e9)):
        run = CheckpointFolder(tmp_path / name)
        run.save(7, {"net_g": {"params": {"w": torch.zeros(1)}, "network": {}}}, {})
        os.utime(run.states / "7.json", (when, when))
    (tmp_path / "something else").mkdir()
    (tmp_path / "newer" / "options.yml").write_text("from: {an: older version}")
    append_validation(tmp_path / "newer", 7, {"val_a/b_c": 1.0})
    os.utime(tmp_path / "newer" / "validation.jsonl", (1e9, 1e9))
    with run_lock(tmp_path / "older", World()):
        assert [(run.name, run.state) for run in list_runs(tmp_path)] == [("newer", "failed"), ("older", "running")]
        assert main(["runs", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "state", "step", "best", "last", "change"]
    assert lines[2].split()[:4] == ["older", "running", "7", "-"]


def test_no_runs_and_no_folder(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 0
    assert "no runs" in capsys.readouterr().out
    with pytest.raises(DataError, match=r"path\.experiments_root"):
        list_runs(tmp_path / "none")
