"""Stopped at every kind of place, with any number of workers, a run ends with the bytes of one that was not."""

import os
import signal

import pytest
import torch
import yaml

from dmdnet.config import load_options
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.train import train
from dmdnet.models.dmdnet_model import DMDNetModel

pytestmark = pytest.mark.slow
TOTAL, GAN_START, MILESTONE = 8, 4, 6  # 9 pictures in parts of 2, two parts a step: an epoch ends within step 3


@pytest.fixture
def write(option_file):
    def build(name, workers=0):
        validation = {"val_freq": 2, "metrics": {"psnr": {"type": "PSNR"}}, "modes": ["generic"], "save_img": False}
        path = option_file(name, gan_start=GAN_START, val=validation)
        content = yaml.safe_load(path.read_text())
        content["train"] |= {"total_iter": TOTAL, "accumulate": 2, "warmup_iter": 2}
        content["train"]["scheduler"] = {"type": "MultiStepLR", "milestones": [MILESTONE], "gamma": 0.5}
        content["datasets"]["train"]["num_worker_per_gpu"] = workers
        content["datasets"]["val"] = {
            **content["datasets"]["train"],
            "name": "people",
            "allow_split_overlap": True,
            "num_worker_per_gpu": 0,
        }
        content["logger"] |= {"keep_last": 2, "keep_best": {"metric": "people/generic_psnr"}}
        path.write_text(yaml.safe_dump(content))
        return load_options(path)

    return build


def flat(value, prefix=""):
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {name: leaf for key, item in items for name, leaf in flat(item, f"{prefix}/{key}").items()}
    return {prefix: value}


def everything(options):
    """Return all that the last checkpoint holds, but for the options, whose name differs."""
    weights, state = CheckpointFolder(f"{options.path.experiments_root}/{options.name}").load(TOTAL)
    return flat({"weights": weights, "state": {key: value for key, value in state.items() if key != "options"}})


def stop_in(monkeypatch, options, name, number):
    """Train until the call `number` of a method of the model, in which a signal comes."""
    original, calls = getattr(DMDNetModel, name), []

    def signalled(self, *args, **keywords):
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *args, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(DMDNetModel, name, signalled)
        with pytest.raises(SystemExit):
            train(options)


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_the_same_bytes_wherever_it_was_stopped(write, monkeypatch, workers):
    whole = write("whole")
    train(whole)
    expected = everything(whole)
    assert any("optim_d" in name for name in expected)
    assert any("params_ema" in name for name in expected)
    assert any("best" in name for name in expected)
    places = {
        "the first step": ("step", 1),
        "the end of an epoch, in the discriminator's warm-up": ("step", 3),
        "the discriminator's first step": ("step", GAN_START),
        "a milestone of the schedule": ("step", MILESTONE),
        "a validation": ("restore", 7),
        "the last step": ("step", TOTAL),
    }
    for place, (name, number) in places.items():
        stopped = write(place.replace(" ", "_").replace(",", "").replace("'", ""), workers)
        stop_in(monkeypatch, stopped, name, number)
        train(stopped)
        found = everything(stopped)
        assert found.keys() == expected.keys(), place
        for key, value in expected.items():
            same = torch.equal(value, found[key]) if isinstance(value, torch.Tensor) else value == found[key]
            assert same, (place, key)
