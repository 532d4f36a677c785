"""Signals: everywhere in a run, on one process and two; what is saved and with which code the run ends."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from children import code_of, in_child

from dmdnet.cli.train import add_arguments
from dmdnet.config import load_options
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.history import read_validations
from dmdnet.engine.signals import stop_requests
from dmdnet.engine.train import train
from dmdnet.models.dmdnet_model import DMDNetModel

ROOT = Path(__file__).parents[2]
SBATCH = ROOT / "scripts" / "slurm" / "train.sbatch"


def run_of(options):
    return CheckpointFolder(f"{options.path.experiments_root}/{options.name}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_each_signal_is_noted_and_the_old_handlers_come_back(number):
    before = signal.getsignal(number)
    with stop_requests() as stop:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # at once: a launcher's copy of the same request
        time.sleep(0.05)
        assert stop.signal == number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once_wherever_it_is(second):
    ready, done = os.pipe()

    def work():
        with stop_requests():
            os.write(done, b"x")
            for _ in range(600):
                time.sleep(0.1)
        return 0

    pid = in_child(work)
    os.read(ready, 1)
    os.kill(pid, signal.SIGTERM)
    time.sleep(1.2)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)  # the first only asks
    began = time.monotonic()
    os.kill(pid, second)
    assert code_of(pid) == 128 + second
    assert time.monotonic() - began < 2


def test_a_signal_to_a_forked_worker_is_not_one_to_the_run():
    with stop_requests() as stop:
        pid = in_child(lambda: time.sleep(20))
        time.sleep(0.2)
        os.kill(pid, signal.SIGTERM)  # the first: its last sample may still be wanted
        time.sleep(0.2)
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
        os.kill(pid, signal.SIGTERM)
        assert code_of(pid) == -signal.SIGTERM
        time.sleep(0.05)
        assert stop.signal == 0


@pytest.fixture
def judged(option_file):
    """Write a run that is saved every second iteration and validated every iteration."""

    def write(name, total=4):
        path = option_file(name, val={"val_freq": 1, "metrics": {"psnr": {"type": "PSNR"}}, "modes": ["generic"]})
        content = yaml.safe_load(path.read_text())
        content["train"]["total_iter"] = total
        content["datasets"]["val"] = {**content["datasets"]["train"], "name": "people", "allow_split_overlap": True}
        content["val"]["save_img"] = False
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.mark.parametrize(
    ("owner", "name", "at_call", "saved"),
    [
        (DMDNetModel, "step", 1, 1),
        (DMDNetModel, "step", 3, 3),
        (DMDNetModel, "restore", 2, 1),  # in the validation of an iteration that has no checkpoint
        (DMDNetModel, "restore", 7, 2),  # in that of one that has
        (CheckpointFolder, "save", 1, 2),
        (CheckpointFolder, "publish_latest", 1, 4),  # the last iteration: its validation is still to come
    ],
)
def test_a_signal_anywhere_saves_stops_and_the_same_command_ends_with_the_same_values(
    judged, monkeypatch, owner, name, at_call, saved
):
    options = load_options(judged("stopped"))
    original, calls = getattr(owner, name), []

    def signalled(self, *args, **keywords):
        calls.append(1)
        if len(calls) == at_call:
            os.kill(os.getpid(), signal.SIGUSR1)
        return original(self, *args, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, signalled)
        began = time.monotonic()
        with pytest.raises(SystemExit) as stop:
            train(options)
    assert stop.value.code == 128 + signal.SIGUSR1
    assert time.monotonic() - began < 30
    assert run_of(options).latest() == saved
    train(options)
    run = run_of(options)
    assert run.latest() == 4
    assert sorted(read_validations(run.root)) == [1, 2, 3, 4]


@pytest.mark.slow
def test_one_rank_is_signalled_and_both_stop_after_the_same_step(judged):
    path = judged("pair", total=100_000)
    options = load_options(path)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "train.py"]
    process = subprocess.Popen(
        [*command, "-opt", str(path), "--launcher", "pytorch"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 100
        while not run_of(options).iterations():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        ranks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(ranks) == 2
        began = time.monotonic()
        os.kill(int(ranks[1]), signal.SIGTERM)
        log = process.communicate(timeout=60)[1]
        assert time.monotonic() - began < 30
    finally:
        process.kill()
    assert process.returncode != 0
    assert log.count("stopped by signal 15 after iteration") == 1
    stopped = int(log.split("stopped by signal 15 after iteration ")[1].split(";")[0])
    assert run_of(options).latest() == stopped
    assert log.count("exitcode  : 143") == 2  # torchrun's report of both ranks


def test_the_batch_script_is_valid_and_queues_again_on_the_documented_codes(tmp_path):
    subprocess.run(["bash", "-n", str(SBATCH)], check=True)
    text = SBATCH.read_text()
    for wanted in ("#SBATCH --requeue", "#SBATCH --signal=USR1@", "--open-mode=append", "--launcher slurm"):
        assert wanted in text
    for tool, body in {"srun": 'exit "$CODE"', "scontrol": 'echo "$@" >> "$LOG"'}.items():
        (tmp_path / tool).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / tool).chmod(0o755)
    log = tmp_path / "log"
    for code, queued in {"0": False, "138": True, "143": True, "2": False, "1": False}.items():
        log.write_text("")
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CODE": code, "LOG": str(log), "SLURM_JOB_ID": "77"}
        done = subprocess.run(["bash", str(SBATCH), "-opt", "x.yml"], env=environment, cwd=tmp_path, timeout=20)
        assert done.returncode == int(code)
        assert ("requeue 77" in log.read_text()) is queued


@pytest.mark.parametrize("spelling", ["--local_rank=1", "--local-rank=1"])
def test_launchers_spellings_of_the_local_rank_are_accepted(spelling):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args(["-opt", "x.yml", spelling]).local_rank == 1
