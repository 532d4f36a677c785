"""Saving in the background, slowed down at random: every checkpoint is that of a run that waits for each of them."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch
import yaml

from dmdnet.config import load_options
from dmdnet.config.options import LoggerOptions
from dmdnet.engine import saving
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.saving import Saver
from dmdnet.engine.train import train
from dmdnet.models.dmdnet_model import DMDNetModel

TOTAL = 4
JUDGED = {"val_freq": 1, "metrics": {"psnr": {"type": "PSNR"}}, "modes": ["generic"], "save_img": False}
PIECEWISE = {"type": "AdamW", "lr": 1e-3, "implementation": "foreach"}


def flat(value, prefix=""):
    """Return name -> all that a part of a checkpoint holds; of a tensor its bytes and how they lie."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {name: leaf for key, item in items for name, leaf in flat(item, f"{prefix}/{key}").items()}
    if isinstance(value, torch.Tensor):
        return {prefix: (value.dtype, value.shape, value.stride(), value.contiguous().numpy().tobytes())}
    return {prefix: value}


@pytest.fixture
def saved(monkeypatch):
    """Keep what each save of each run was given to write, as it was when it was written."""
    found, save = {}, CheckpointFolder.save

    def kept(self, iteration, weights, state, **keywords):
        path = save(self, iteration, weights, state, **keywords)
        content = {"weights": weights, "state": {key: item for key, item in state.items() if key != "options"}}
        found.setdefault(self.root.name, {})[iteration] = flat(content)
        return path

    monkeypatch.setattr(CheckpointFolder, "save", kept)
    return found


@pytest.fixture
def late(monkeypatch):
    """Let the copying thread begin when somebody waits for it (else after seconds), and rest between pieces."""
    rng = np.random.Generator(np.random.Philox(3))
    copy, sizes, awaited = saving.copy_pairs, [], threading.Event()

    def slowly(pairs):
        if threading.current_thread().name != "checkpoint":
            awaited.clear()  # a save begins
            copy(pairs)
            return
        awaited.wait(5)
        cuts = sorted(rng.integers(0, len(pairs) + 1, 4).tolist())
        for start, end in zip([0, *cuts], [*cuts, len(pairs)], strict=True):
            time.sleep(rng.uniform(0, 0.06))
            copy(pairs[start:end])
        sizes.append(len(pairs))

    def announced(wait):
        def call(self):
            awaited.set()
            wait(self)

        return call

    monkeypatch.setattr(saving, "copy_pairs", slowly)
    for name in ("await_copy", "wait"):
        monkeypatch.setattr(Saver, name, announced(getattr(Saver, name)))
    return sizes


def spoil(monkeypatch, iteration):
    """Make the first loss of a step NaN."""
    step = DMDNetModel.step

    def spoilt(self, batch, number):
        loss = self.objective.losses[0]
        factor = torch.nan if number == iteration else 1.0
        loss.forward = lambda inputs: type(loss).forward(loss, inputs) * factor
        return step(self, batch, number)

    monkeypatch.setattr(DMDNetModel, "step", spoilt)


@pytest.fixture
def build(option_file):
    """Load the options of a run that is saved at every iteration, with a discriminator from the second."""

    def made(name, behind, changes, more):
        path = option_file(name, gan_start=2, val=JUDGED if "keep_best" in more else {})
        content = yaml.safe_load(path.read_text())
        content["train"] |= {"total_iter": TOTAL, **changes}
        if "keep_best" in more:
            content["datasets"]["val"] = {**content["datasets"]["train"], "name": "people", "allow_split_overlap": True}
        content["logger"] |= {"save_checkpoint_freq": 1, "async_save": behind, **more}
        path.write_text(yaml.safe_dump(content))
        return load_options(path)

    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "more"),
    [
        pytest.param({"warmup_iter": 3}, {"grad_norm_freq": 2}, id="norms measured"),
        pytest.param({"optim_g": PIECEWISE, "accumulate": 2, "non_finite": "skip"}, {}, id="in parts, one left out"),
        pytest.param(
            {},
            {"save_checkpoint_freq": 3, "keep_best": {"metric": "people/generic_psnr"}},
            id="best",
        ),
    ],
)
def test_every_checkpoint_is_that_of_a_run_that_waits(build, monkeypatch, late, saved, changes, more):
    if "non_finite" in changes:
        spoil(monkeypatch, 3)
    for name in ("waits", "goes_on"):
        assert late == []
        train(build(name, name == "goes_on", changes, more))
    assert len(late) == len(saved["waits"]) >= 2
    assert min(late) > 100
    assert list(saved["goes_on"]) == list(saved["waits"])
    for iteration, names in saved["waits"].items():
        found = saved["goes_on"][iteration]
        assert found.keys() == names.keys()
        assert [name for name, value in names.items() if found[name] != value] == [], iteration


def test_a_signal_while_it_copies_saves_that_step_too(build, monkeypatch, late, saved):
    step, calls = DMDNetModel.step, []

    def signalled(self, batch, iteration):
        calls.append(iteration)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, iteration)

    train(build("waits", False, {}, {}))
    behind = build("goes_on", True, {}, {"save_checkpoint_freq": 2})
    with monkeypatch.context() as patch:
        patch.setattr(DMDNetModel, "step", signalled)
        with pytest.raises(SystemExit):
            train(behind)
    assert list(saved["goes_on"]) == [2, 3]
    train(behind)
    assert list(saved["goes_on"]) == [2, 3, 4]
    for iteration, found in saved["goes_on"].items():
        assert found == saved["waits"][iteration]


def test_no_memory_and_no_thread_for_a_copy_are_failures_of_the_save(tmp_path, monkeypatch):
    """On rank 0 alone they must not end the process where the others wait for it."""
    weight = torch.ones(2)

    def fail(*args, **keywords):
        raise RuntimeError("no more of it")

    for owner, name in ((saving, "host_copy"), (threading.Thread, "start")):
        saver = Saver(CheckpointFolder(tmp_path), LoggerOptions(async_save=True))
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fail)
            saver.prepare({"net_g": {"params": {"w": weight}}}, {})
            saver.wait()
            saver.save(1, {"net_g": {"params": {"w": weight}}}, {"draws": 1}, later=[weight])
            saver.await_copy()
            saver.wait()
        assert saver.failed
        with pytest.raises(RuntimeError, match="no more of it"):
            saver.check()
