"""Trackers: what they get, and that a run does not depend on them."""

import logging
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dmdnet.config import load_options
from dmdnet.engine import tracking
from dmdnet.engine.distributed import World
from dmdnet.engine.history import read_scalars
from dmdnet.engine.scalars import grouped, site_means, validation_names
from dmdnet.engine.trackers.base import RunInfo, Tracker
from dmdnet.engine.trackers.tensorboard import TensorBoardTracker
from dmdnet.engine.tracking import Feed, Trackers, tracked
from dmdnet.engine.train import train
from dmdnet.errors import ConfigError
from dmdnet.registry import TRACKERS, Runtime


class Kept(Tracker):
    """Keeps what it gets."""

    shows_pictures = True

    def __init__(self, fails=""):
        self.fails, self.seen = fails, []
        if fails == "start":
            raise OSError(28, "No space left on device")

    def scalars(self, values, iteration):
        if self.fails == "scalars" and iteration > 2:
            raise RuntimeError("its library\nhas a bad day")
        self.seen.append((iteration, dict(values)))

    def picture(self, name, image_HWC, iteration):
        if self.fails == "picture":
            raise ValueError
        self.seen.append((iteration, name, image_HWC.shape))

    def close(self):
        self.seen.append("closed")
        if self.fails == "close":
            raise ConnectionError("gone")


@pytest.fixture
def registered(monkeypatch):
    """Register a class as a tracker for one test."""

    def register(name, kind):
        TRACKERS.names()  # loads what there is
        monkeypatch.setitem(TRACKERS._components, name, kind)
        monkeypatch.setattr(TRACKERS, "_schemas", dict(TRACKERS._schemas))

    return register


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def folder_of(options):
    return Path(options.path.experiments_root) / options.name


def weights_of(options):
    return torch.load(folder_of(options) / "models" / "net_g_4.pth", weights_only=True)


def test_tensorboard_gets_scalars_and_pictures(tmp_path):
    run = RunInfo(tmp_path, 10, SimpleNamespace(name="run"))
    for folder, place in ((None, tmp_path / "tb_logger"), (str(tmp_path / "all"), tmp_path / "all" / "run")):
        board = TensorBoardTracker(run=run, folder=folder)
        board.scalars({"loss/l1": 0.5, "lr/net_g": 1e-3}, 11)
        board.picture("faces", np.zeros((8, 8, 3), np.uint8), 11)
        board.close()
        events = EventAccumulator(str(place)).Reload()
        assert events.Scalars("loss/l1")[0].value == 0.5
        assert events.Scalars("lr/net_g")[0].step == 11
        assert events.Images("faces")[0].width == 8


def test_numbers_are_shown_by_group():
    names = ("l_g_l1_generic", "l_d_real", "lr", "lr_net_d", "grad_norm_net_g", "mask/mean/mouth_2", "other")
    assert list(grouped(dict.fromkeys(names, 1.0))) == [
        "loss/l_g_l1_generic", "loss/l_d_real", "lr/net_g", "lr/net_d", "grad_norm/net_g", "mask/mean/mouth_2",
        "train/other",
    ]  # fmt: skip
    assert validation_names({"val_people/generic_psnr": 30.0}) == {"val/people/generic_psnr": 30.0}
    assert site_means({"mask/mean/a": 1.0, "mask/mean/b": 2.0, "mask/spread/a": 5.0}) == {
        "mask_mean": 1.5,
        "mask_spread": 5.0,
    }


def test_a_tracker_is_one_class_and_an_entry(option_file, registered):
    made = []

    class Mine(Kept):
        def __init__(self, run: Runtime[RunInfo], *, colour: str = "red"):
            super().__init__()
            made.append((run.name, run.iteration, colour, self))

    registered("Mine", Mine)
    options = load_options(
        option_file(logger={"trackers": [{"type": "Mine", "colour": "blue"}], "image_freq": 4, "print_freq": 2})
    )
    train(options)
    ((*told, found),) = made
    assert told == ["tiny", 0, "blue"]
    (first, values), (second, _), (third, picture, shape), last = found.seen
    assert (first, second, third, last) == (2, 4, 4, "closed")
    assert {name.split("/")[0] for name in values} >= {"loss", "lr", "grad_norm", "time", "dictionary"}
    assert picture == "train/degraded_restored_target_references"
    assert shape[2] == 3


def test_training_goes_on_to_the_same_bytes_without_its_trackers(tiny, monkeypatch, caplog):
    plain = tiny(name="plain", logger={"print_freq": 1, "image_freq": None})
    train(plain)
    bad = {fails: ((), lambda run, fails=fails: Kept(fails)) for fails in ("start", "scalars", "picture", "close")}
    real = tracking.wanted_trackers
    monkeypatch.setattr(tracking, "wanted_trackers", lambda options: real(options) | bad)
    options = tiny(name="tracked", logger={"print_freq": 1, "image_freq": 1})
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(options)
    found = [text for text in warnings(caplog) if "tracker" in text]
    assert sorted(text.split(": ")[0] for text in found) == [f"tracker {name}" for name in sorted(bad)]
    assert all(text.endswith("training goes on without it") for text in found)
    mine, other = (weights_of(one) for one in (plain, options))
    assert mine["params"].keys() == other["params"].keys()
    for kind in ("params", "params_ema"):
        assert all(torch.equal(value, other[kind][key]) for key, value in mine[kind].items())
    assert list(read_scalars(folder_of(options))) == [1, 2, 3, 4]


def test_a_folder_that_takes_no_events_is_a_warning(tiny, tmp_path, caplog):
    options = tiny(logger={"use_tb_logger": True})
    root = folder_of(options)
    root.mkdir(parents=True)
    (root / "tb_logger").write_text("in the way")
    (root / "scalars.jsonl").mkdir()
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(options)
    history, board, lost = warnings(caplog)
    assert "scalars.jsonl: cannot be written: " in history
    assert "scalars.jsonl: 2 reports are lost" in lost
    assert board.startswith("tracker tensorboard: ")
    assert weights_of(options)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of its writer's thread
def test_a_full_disk_under_tensorboard_is_one_warning(tmp_path, monkeypatch, caplog):
    run = RunInfo(tmp_path, 0, SimpleNamespace(name="run"))
    tracker = TensorBoardTracker(run=run)
    writer = tracker._writer._get_file_writer().event_writer._async_writer._writer

    def full(data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "write", full)
    feed = Feed("tensorboard", tracker)
    for iteration in range(200):
        feed.send(lambda one, iteration=iteration: one.scalars({"loss/l1": 1.0}, iteration))
        time.sleep(0.001)
    feed.close(time.monotonic() + 10)
    (warning,) = warnings(caplog)
    assert "No space left" in warning or "writer" in warning.lower()


def test_a_missing_package_is_an_error_before_anything_else(tiny, registered, tmp_path):
    class Absent(TensorBoardTracker):
        packages = ("no_such_package_here",)

    registered("Absent", Absent)
    options = tiny(logger={"trackers": [{"type": "Absent"}]})
    with pytest.raises(ConfigError, match=r"Absent \(logger.trackers.0\) needs the package no_such_package_here"):
        train(options)
    assert not (tmp_path / "experiments").exists()


def test_a_tracker_that_hangs_keeps_nobody(caplog):
    stuck = threading.Event()

    class Stuck(Kept):
        def scalars(self, values, iteration):
            stuck.wait(30)

    began = time.monotonic()
    feed = Feed("slow", Stuck())
    for iteration in range(tracking._WAITING + 10):
        feed.send(lambda one, iteration=iteration: one.scalars({}, iteration))
    feed.close(time.monotonic() + 0.2)
    assert time.monotonic() - began < 5
    late, unfinished = warnings(caplog)
    assert "does not keep up" in late
    assert "has not finished in time" in unfinished
    stuck.set()


def test_few_pictures_wait_for_a_tracker_that_hangs(caplog):
    stuck = threading.Event()

    class Stuck(Kept):
        def scalars(self, values, iteration):
            stuck.wait(30)
            super().scalars(values, iteration)

    slow = Stuck()
    trackers = Trackers([Feed("slow", slow)])
    for iteration in range(40):
        trackers.scalars({}, iteration)
        trackers.picture("faces", torch.zeros(3, 4, 4, dtype=torch.uint8), iteration)
    (late,) = warnings(caplog)
    assert "does not keep up" in late
    stuck.set()
    trackers.close(10)
    kinds = [len(entry) for entry in slow.seen[:-1]]
    assert kinds.count(2) == 40  # no number is lost for the pictures
    assert 5 <= kinds.count(3) <= tracking._WAITING_PICTURES


def test_other_ranks_track_nothing(tmp_path, tiny):
    with tracked(tmp_path / "run", 0, tiny(), World(rank=1, size=2)) as trackers:
        trackers.scalars({"a": 1.0}, 1)
        assert not trackers.show_pictures
    assert not (tmp_path / "run").exists()
    assert not Trackers().show_pictures
