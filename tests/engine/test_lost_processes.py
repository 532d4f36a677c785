"""Whole runs under torchrun that lose a rank or a worker: what ends, what is left, and that a restart goes on."""

import contextlib
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dmdnet.config import load_options
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.pulse import rank_log
from dmdnet.engine.train import train

ROOT = Path(__file__).parents[2]
LOSS = "loss/l_g_l1_generic"
pytestmark = pytest.mark.slow


@pytest.fixture
def write(option_file):
    """Write a run with many iterations, each saved."""

    def build(name, *, total=100_000, batch=2, workers=0, lr=1e-3, gan_start=None, **sections):
        logger = {"save_checkpoint_freq": 2, "print_freq": 1, "use_tb_logger": False}
        path = option_file(name, gan_start=gan_start, logger=logger)
        content = yaml.safe_load(path.read_text())
        content["train"]["total_iter"] = total
        content["datasets"]["train"] |= {"batch_size_per_gpu": batch, "num_worker_per_gpu": workers}
        content["train"]["optim_g"]["lr"] = lr
        content |= sections
        path.write_text(yaml.safe_dump(content))
        return path

    return build


def run_of(path):
    options = load_options(path)
    return CheckpointFolder(f"{options.path.experiments_root}/{options.name}")


@contextlib.contextmanager
def launched(path, ranks=2, restarts=0, rendezvous="--standalone"):
    """Start torchrun in a process group of its own; give it once the run has a checkpoint."""
    command = [sys.executable, "-m", "torch.distributed.run", rendezvous, f"--nproc_per_node={ranks}"]
    process = subprocess.Popen(
        [*command, f"--max-restarts={restarts}", "train.py", "-opt", str(path), "--launcher", "pytorch"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    everybody = []
    try:
        deadline = time.monotonic() + 300
        while not run_of(path).iterations():
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        everybody = descendants(process.pid)
        yield process
    finally:
        for pid in living([process.pid, *everybody]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid):
    """Return the launcher's ranks, their workers, and theirs: torchrun puts each rank into a session of its own."""
    found = children(pid)
    return found + [below for one in found for below in descendants(one)]


def living(pids):
    """Return those that still run; a zombie does not."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
    return found


def ends_with_nobody_left(process, pids, within):
    """Wait for the launcher's end; return its output. Ten seconds later none of its processes may be left."""
    output = process.communicate(timeout=within)[0]
    assert process.returncode != 0
    deadline = time.monotonic() + 10
    while living(pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert living(pids) == []
    return output


def test_a_stopped_rank_is_named_and_everything_ends(write):
    path = write("hung", dist_params={"hang_timeout_s": 5, "timeout_s": 600})
    with launched(path) as process:
        stopped, everybody = children(process.pid)[1], descendants(process.pid)
        began = time.monotonic()
        os.kill(stopped, signal.SIGSTOP)
        ends_with_nobody_left(process, everybody, 60)
        assert time.monotonic() - began < 5 + 10
    text = rank_log(run_of(path).root, 0).read_text()
    assert re.search(rf"rank 1 \(process {stopped} on .*\) has not been heard for 5 s", text)
    assert "all_reduce" in text or "backward" in text  # the stack says in what this rank waited
    assert run_of(path).latest() is not None


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_leaves_no_process(write, rank):
    path = write(f"killed{rank}", workers=1)
    with launched(path) as process:
        everybody = descendants(process.pid)
        assert len(everybody) == 4  # two ranks, a worker each
        os.kill(children(process.pid)[rank], signal.SIGKILL)
        ends_with_nobody_left(process, everybody, 60)
    assert run_of(path).latest() is not None
    assert rank_log(run_of(path).root, 1 - rank).exists()  # the other says that it lost its peer


def test_a_killed_worker_ends_the_run_with_a_reason(write):
    path = write("worker", workers=1)
    with launched(path, ranks=1) as process:
        (main,) = children(process.pid)
        everybody = descendants(process.pid)
        os.kill(children(main)[0], signal.SIGKILL)
        ends_with_nobody_left(process, everybody, 60)
    assert re.search(r"DataLoader worker .*killed by signal", rank_log(run_of(path).root, 0).read_text())


def flat(value, prefix=""):
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {name: leaf for key, item in items for name, leaf in flat(item, f"{prefix}/{key}").items()}
    return {prefix: value} if isinstance(value, torch.Tensor) else {}


def state_of(path, iteration):
    """Return every tensor of a checkpoint: networks, average, optimisers."""
    weights, state = run_of(path).load(iteration)
    return flat({"weights": weights, "model": state["model"]})


def test_torchrun_restarts_after_each_lost_rank_and_ends_with_the_same_bytes(write):
    """In the discriminator's warm-up and after it, with two parts a step, a worker, and saves in the background."""
    whole, lost = (write(name, total=60, workers=1, gan_start=12) for name in ("undisturbed", "lost"))
    for path in (whole, lost):
        content = yaml.safe_load(path.read_text())
        content["train"]["accumulate"] = 2
        content["logger"] |= {"async_save": True, "keep_last": 2}
        path.write_text(yaml.safe_dump(content))
    with launched(whole) as process:
        output = process.communicate(timeout=200)[0]
        assert process.returncode == 0, output[-3000:]
    with launched(lost, restarts=3) as process:
        for rank, reached in ((1, 2), (0, 20)):  # rank 0 holds the lock and saves
            deadline = time.monotonic() + 300
            while max(run_of(lost).iterations()) < reached:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            os.kill(children(process.pid)[rank], signal.SIGKILL)
        output = process.communicate(timeout=200)[0]
        assert process.returncode == 0, output[-3000:]
    assert output.count("continuing ") == 2
    pair = state_of(whole, 60), state_of(lost, 60)
    assert pair[0].keys() == pair[1].keys()
    assert any("optim_d" in name for name in pair[0])
    assert [name for name in pair[0] if not torch.equal(pair[0][name], pair[1][name])] == []


def test_torchrun_restarts_with_its_static_rendezvous(write):
    """Which keeps one store over all restarts, with what the dead ranks wrote there."""
    path = write("static", total=30)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with launched(path, restarts=2, rendezvous=f"--master-port={port}") as process:
        os.kill(children(process.pid)[1], signal.SIGKILL)
        output = process.communicate(timeout=200)[0]
        assert process.returncode == 0, output[-3000:]
    assert output.count("continuing ") == 1


def order_of(path, ranks, steps):
    """Return a hash of the names and pictures of the whole batches, by step."""
    entry = load_options(path).datasets["train"]
    found = hashlib.sha256()
    dataset = build_dataset(entry, seed=0, phase="train")
    loaders = [iter(build_loader(dataset, entry, phase="train", rank=rank, world_size=ranks)) for rank in range(ranks)]
    for _ in range(steps):
        batches = [next(loader) for loader in loaders]
        pictures = {n: p for b in batches for n, p in zip(b.names, b.lq_BCHW, strict=True)}
        for name in sorted(pictures):
            found.update(name.encode() + pictures[name].numpy().tobytes())
    return found.hexdigest()


def losses(run):
    """Return the loss of every step, as TensorBoard has it: not rounded for reading."""
    return [scalar.value for scalar in EventAccumulator(str(run.root / "tb_logger")).Reload().Scalars(LOSS)]


def test_another_world_size_takes_the_same_samples_and_finds_the_same_losses(write):
    # Adam makes of a gradient next to nothing a whole step of either sign, so that a sum in another order is amplified
    # by the learning rate: that of fine-tuning keeps to the figure.
    logger = {"save_checkpoint_freq": 50, "print_freq": 1, "use_tb_logger": True}
    files = {ranks: write(f"world{ranks}", total=50, batch=4 // ranks, lr=2e-5, logger=logger) for ranks in (1, 2, 4)}
    assert len({order_of(path, ranks, 50) for ranks, path in files.items()}) == 1
    train(load_options(files[1]))
    for ranks in (2, 4):
        with launched(files[ranks], ranks) as process:
            output = process.communicate(timeout=120)[0]
            assert process.returncode == 0, output[-3000:]
    curves = {ranks: losses(run_of(path)) for ranks, path in files.items()}
    assert [len(curve) for curve in curves.values()] == [50, 50, 50]
    differences = [
        abs(value - expected) / expected
        for ranks in (2, 4)
        for value, expected in zip(curves[ranks], curves[1], strict=True)
    ]
    assert max(differences) < 1e-5, differences
