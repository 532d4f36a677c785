"""A run whose pictures are degraded on the device goes on as if it had not been stopped."""

import os
import signal

import pytest
import torch

from dmdnet.config import load_options
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.train import train
from dmdnet.models.dmdnet_model import DMDNetModel

CHANGES = [
    "datasets.train.degrade_on=device",
    "datasets.train.degradation=[{type: Preset, name: gfpgan}]",
    "logger.image_freq=2",
    "logger.use_tb_logger=true",
]


def test_resumed_equals_uninterrupted(option_file, monkeypatch, tmp_path):
    whole, parts = (load_options(option_file(name=name), CHANGES) for name in ("whole", "parts"))
    train(whole)
    step = DMDNetModel.step

    def stopped(self, batch, iteration):
        assert batch.pending
        if iteration == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(DMDNetModel, "step", stopped)
        with pytest.raises(SystemExit):
            train(parts)
    train(parts)
    one, two = (CheckpointFolder(tmp_path / "experiments" / name).load(4) for name in ("whole", "parts"))
    assert str(one[1]["model"]) == str(two[1]["model"])
    weights = [run[0]["net_g"]["params"] for run in (one, two)]
    assert weights[0].keys() == weights[1].keys()
    assert [name for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])] == []
