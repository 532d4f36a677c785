"""A long run takes no more of anything at its end than at its beginning: memory, objects, files, threads.

`make test-slow` takes five hundred iterations, `make test-chaos` a quarter of an hour.
"""

import gc
import logging
import os
import signal
import threading
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest
import torch
import yaml

from dmdnet.config import load_options
from dmdnet.engine.train import train
from dmdnet.models.dmdnet_model import DMDNetModel

EVERY = 10


class Sample(NamedTuple):
    """What the process holds after an iteration."""

    at: float
    resident: int  # bytes, of this process and its children
    objects: int
    tensors: int
    files: int
    threads: int
    shared: int  # files in shared memory


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def sample():
    gc.collect()
    alive = gc.get_objects()
    return Sample(
        time.monotonic(),
        sum(resident(pid) for pid in [os.getpid(), *children(os.getpid())]),
        len(alive),
        sum(isinstance(item, torch.Tensor) for item in alive),
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        len(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else 0,
    )


@pytest.fixture
def soak(option_file, monkeypatch):
    """Run with workers, both networks, validation, saving in the background and TensorBoard; return samples."""

    def run(iterations, seconds=float("inf")):
        validation = {"val_freq": 25, "metrics": {"psnr": {"type": "PSNR"}}, "modes": ["generic"], "save_img": True}
        path = option_file("soak", gan_start=0, val=validation)
        content = yaml.safe_load(path.read_text())
        content["train"]["total_iter"] = iterations
        content["datasets"]["train"]["num_worker_per_gpu"] = 1
        content["datasets"]["val"] = {
            **content["datasets"]["train"],
            "name": "people",
            "allow_split_overlap": True,
            "num_worker_per_gpu": 0,
        }
        content["logger"] |= {"print_freq": 5, "save_checkpoint_freq": 10, "keep_last": 2, "async_save": True}
        content["logger"] |= {"use_tb_logger": True, "image_freq": 50}
        path.write_text(yaml.safe_dump(content))
        samples, step, began = [], DMDNetModel.step, time.monotonic()
        monkeypatch.setattr(logging.getLogger("dmdnet"), "propagate", False)  # pytest keeps every record

        def watched(self, batch, iteration):
            logs = step(self, batch, iteration)
            if iteration % EVERY == EVERY - 1:  # the save before has ended, and the next has not begun
                samples.append(sample())
            if time.monotonic() - began > seconds:
                os.kill(os.getpid(), signal.SIGTERM)
            return logs

        monkeypatch.setattr(DMDNetModel, "step", watched)
        if seconds == float("inf"):
            train(load_options(path))
        else:
            with pytest.raises(SystemExit):
                train(load_options(path))
        return samples

    return run


def thirds(samples, name):
    """Return the medians of the second and of the last third; in the first, caches fill."""
    size = len(samples) // 3
    values = [getattr(one, name) for one in samples]
    return median(values[size : 2 * size]), median(values[-size:])


def check(samples):
    report = {name: thirds(samples, name) for name in Sample._fields}
    print(f"{len(samples) * EVERY} iterations in {samples[-1].at - samples[0].at:.0f} s: {report}")
    for name in ("files", "threads", "shared", "tensors"):
        before, after = report[name]
        assert after <= before, (name, report)
    assert report["objects"][1] < report["objects"][0] * 1.001, report
    assert report["resident"][1] < report["resident"][0] * 1.01, report


@pytest.mark.slow
def test_five_hundred_iterations_leave_nothing_behind(soak):
    check(soak(500))


@pytest.mark.chaos
def test_a_quarter_of_an_hour_leaves_nothing_behind(soak):
    check(soak(10**9, seconds=900))
