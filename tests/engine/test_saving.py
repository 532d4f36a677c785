"""Saving in the background: what is written is the state at the step, one at a time, and nothing is lost or hidden."""

import threading
import time

import pytest
import torch

from dmdnet.config.options import LoggerOptions
from dmdnet.engine import saving
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.saving import Saver, host_copy
from dmdnet.engine.train import train
from dmdnet.errors import CheckpointError
from dmdnet.models.dmdnet_model import DMDNetModel

BACKGROUND = LoggerOptions(async_save=True)


def contents(weight):
    return {"net_g": {"params": {"w": weight}, "network": {"type": "X"}}}, {"draws": 1, "model": {"m": [weight * 2]}}


class Gate(CheckpointFolder):
    """Saves when it is told to; counts how many do at once."""

    def __init__(self, root):
        super().__init__(root)
        self.open, self.inside, self.most, self.fail = threading.Event(), 0, 0, False

    def save(self, *args, **keywords):
        self.inside += 1
        self.most = max(self.most, self.inside)
        assert self.open.wait(10)
        self.inside -= 1
        if self.fail:
            raise CheckpointError("the disk is full")
        return super().save(*args, **keywords)


def save_and_fail(gate):
    with Saver(gate, BACKGROUND) as saver:
        saver.save(1, *contents(torch.zeros(1)))
        raise ZeroDivisionError


def save_and_wait(gate):
    with Saver(gate, BACKGROUND) as saver:
        saver.save(1, *contents(torch.zeros(1)))
        saver.wait()
        assert saver.failed


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "run")


def test_training_goes_on_and_the_state_is_that_of_the_step(gate):
    weight = torch.full((3, 2), 7.0)
    with Saver(gate, BACKGROUND) as saver:
        saver.save(1, *contents(weight))
        weight.add_(1)  # the next step
        assert gate.latest() is None
        gate.open.set()
    weights, state = gate.load(1)
    assert torch.equal(weights["net_g"]["params"]["w"], torch.full((3, 2), 7.0))
    assert torch.equal(state["model"]["m"][0], torch.full((3, 2), 14.0))


def test_one_save_is_under_way_at_a_time_and_the_last_is_awaited(gate):
    with Saver(gate, BACKGROUND) as saver:
        saver.save(1, *contents(torch.zeros(1)))
        threading.Timer(0.2, gate.open.set).start()
        began = time.monotonic()
        saver.save(2, *contents(torch.ones(1)))
        assert time.monotonic() - began > 0.1  # it waited for the first
    assert gate.most == 1
    assert gate.iterations() == [2, 1]
    assert gate.load(1)[0]["net_g"]["params"]["w"] == 0


def test_the_last_save_is_awaited_when_the_run_ends_in_an_error(gate):
    threading.Timer(0.1, gate.open.set).start()
    with pytest.raises(ZeroDivisionError):
        save_and_fail(gate)
    assert gate.latest() == 1


def test_a_failed_save_is_raised_when_asked_for_and_at_the_end(gate, caplog):
    gate.fail = True
    gate.open.set()
    with pytest.raises(CheckpointError, match="disk is full"):
        save_and_wait(gate)
    with pytest.raises(ZeroDivisionError):
        save_and_fail(gate)
    assert "disk is full" in caplog.text  # the run's own error is not hidden by it, nor it by that


def test_whatever_goes_wrong_in_the_background_is_heard(gate, monkeypatch):
    def broken(self, *args, **keywords):
        raise TypeError("cannot pickle this")

    monkeypatch.setattr(CheckpointFolder, "save", broken)
    with pytest.raises(TypeError, match="cannot pickle this"), Saver(CheckpointFolder(gate.root), BACKGROUND) as saver:
        saver.save(1, *contents(torch.zeros(1)))


def test_copies_use_their_memory_again_and_keep_strides():
    state = {"a": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last), "b": [torch.ones(2), 3], "c": (1, "x")}
    first, _ = host_copy(state)
    assert first["a"].stride() == state["a"].stride()
    place = first["a"].data_ptr()
    assert place != state["a"].data_ptr()
    state["a"] = state["a"] + 1
    second, _ = host_copy(state, first)
    assert second["a"].data_ptr() == place
    assert torch.equal(second["a"], state["a"])
    assert second["c"] == (1, "x")
    twice = torch.ones(3)
    both, _ = host_copy({"a": twice, "b": [twice, torch.tensor(2, dtype=torch.int64)]})  # other types; one tensor twice
    assert torch.equal(both["a"], both["b"][0])
    assert both["b"][1] == 2
    other, _ = host_copy({"a": torch.zeros(5), "b": [], "c": None}, second)
    assert torch.equal(other["a"], torch.zeros(5))


def test_an_update_waits_for_the_copy_and_a_forward_does_not(gate, monkeypatch):
    begun, copy = threading.Event(), saving.copy_pairs

    def slowly(pairs):
        if threading.current_thread().name == "checkpoint":
            begun.set()
            time.sleep(0.3)
        copy(pairs)

    monkeypatch.setattr(saving, "copy_pairs", slowly)
    gate.open.set()
    weight, vector = torch.ones(3, 2), torch.ones(3)
    with Saver(gate, BACKGROUND) as saver:
        part = {"params": {"w": weight.detach(), "v": vector}, "network": {"type": "X"}}
        began = time.monotonic()
        saver.save(1, {"net_g": part}, {"draws": 1}, later=[weight])
        assert time.monotonic() - began < 0.25
        assert begun.wait(5)
        vector.add_(1)  # a power iteration of the next forward
        saver.await_copy()
        weight.add_(1)
        assert 0.1 < saver.blocked_s < 5
    saved = gate.load(1)[0]["net_g"]["params"]
    assert saved["w"].eq(1).all()
    assert saved["v"].eq(1).all()


def test_a_copy_that_fails_keeps_nobody_waiting(gate, monkeypatch):
    def fail(pairs):
        if pairs and threading.current_thread().name == "checkpoint":
            raise RuntimeError("no memory")

    monkeypatch.setattr(saving, "copy_pairs", fail)
    saver, weight = Saver(gate, BACKGROUND), torch.ones(2)
    saver.save(1, *contents(weight), later=[weight])
    saver.await_copy()
    saver.wait()
    with pytest.raises(RuntimeError, match="no memory"):
        saver.check()


def test_what_waits_is_what_an_update_changes(tiny, monkeypatch):
    """Between a step's boundary and `before_update` nothing of it may change; buffers do."""
    seen = []

    def watched(self, batch, iteration):
        waiting = self.changed_by_updates()
        before = [tensor.detach().clone() for tensor in waiting]
        asked = self.before_update

        def look():
            asked()
            seen.append((len(waiting), all(map(torch.equal, before, waiting))))

        self.before_update = look
        try:
            return step(self, batch, iteration)
        finally:
            self.before_update = asked
            waiting = {tensor.data_ptr() for tensor in self.changed_by_updates()}
            for network in self.networks().values():
                assert not waiting & {buffer.data_ptr() for buffer in network.buffers()}

    step = DMDNetModel.step
    monkeypatch.setattr(DMDNetModel, "step", watched)
    train(tiny(gan_start=2))
    assert [same for _, same in seen] == [True] * 4
    assert seen[0][0] < seen[1][0] < seen[2][0]  # the moments of both optimisers come with their first steps


def test_room_is_made_once_and_used(gate):
    gate.open.set()
    weight = torch.ones(3, 2)
    with Saver(gate, BACKGROUND) as saver:
        saver.prepare(contents(weight)[0], {"model": {"m": [weight]}})
        saver.wait()
        room = saver._copy[1]["model"]["m"][0].data_ptr()
        saver.save(1, *contents(weight))
        saver.wait()
        assert saver._copy[1]["model"]["m"][0].data_ptr() == room
    assert gate.load(1)[1]["model"]["m"][0].sum() == 12


def flat(value):
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {f"{key}/{name}": leaf for key, item in items for name, leaf in flat(item).items()}
    return {"": value}


def test_a_run_with_it_saves_the_same(tiny):
    whole = []
    for name, behind in (("now", False), ("behind", True)):
        options = tiny(name=name, gan_start=2, logger={"async_save": behind})
        train(options)
        run = CheckpointFolder(f"{options.path.experiments_root}/{options.name}")
        assert run.iterations() == [4, 2]
        assert (run.models / "net_g_latest.pth").exists()
        whole.append({number: flat(run.load(number)) for number in (2, 4)})
    for number in (2, 4):
        now, behind = (one[number] for one in whole)
        assert now.keys() == behind.keys()
        tensors = [key for key, value in now.items() if isinstance(value, torch.Tensor)]
        assert len(tensors) > 100
        assert [key for key in tensors if not torch.equal(now[key], behind[key])] == []


def test_a_run_whose_save_fails_stops_at_the_next_boundary(tiny, monkeypatch):
    options = tiny(logger={"async_save": True, "save_checkpoint_freq": 1}, train={"total_iter": 50})

    def full(self, iteration, *args, **keywords):
        if iteration == 3:
            raise CheckpointError("net_g_3.pth: the disk is full")
        return save(self, iteration, *args, **keywords)

    save = CheckpointFolder.save
    monkeypatch.setattr(CheckpointFolder, "save", full)
    with pytest.raises(CheckpointError, match=r"net_g_3\.pth: the disk is full"):
        train(options)
    run = CheckpointFolder(f"{options.path.experiments_root}/{options.name}")
    assert run.latest() in (2, 4)  # 4 was begun before the failure was asked for, if at all
