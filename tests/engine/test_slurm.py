"""Two ranks started as srun does it, with nobody above them: signals, codes, and going on."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from dmdnet.config import load_options
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.pulse import rank_log

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture
def write(option_file):
    """Write a run whose every iteration is validated and every second saved, with two parts a step."""

    def build(name, total):
        validation = {"val_freq": 2, "metrics": {"psnr": {"type": "PSNR"}}, "modes": ["generic"], "save_img": False}
        path = option_file(name, gan_start=3, val=validation)
        content = yaml.safe_load(path.read_text())
        content["train"] |= {"total_iter": total, "accumulate": 2}
        content["datasets"]["val"] = {**content["datasets"]["train"], "name": "people", "allow_split_overlap": True}
        content["logger"]["async_save"] = True
        path.write_text(yaml.safe_dump(content))
        return path

    return build


def run_of(path):
    options = load_options(path)
    return CheckpointFolder(f"{options.path.experiments_root}/{options.name}")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def srun(path):
    """Start both tasks, without a launcher between: rank 0 itself holds the store."""
    job = {"NTASKS": "2", "STEP_NODELIST": "localhost", "JOB_ID": "7"}
    tasks = []
    port = free_port()
    for rank in range(2):
        variables = {
            f"SLURM_{name}": value for name, value in {**job, "PROCID": str(rank), "LOCALID": str(rank)}.items()
        }
        tasks.append(
            subprocess.Popen(
                [sys.executable, "train.py", "-opt", str(path), "--launcher", "slurm"],
                cwd=ROOT,
                env={**os.environ, **variables, "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        yield tasks
    finally:
        for task in tasks:
            task.kill()
            task.communicate()


def wait_for(path, iteration, tasks):
    deadline = time.monotonic() + 120
    while max(run_of(path).iterations(), default=0) < iteration:
        assert all(task.poll() is None for task in tasks), [task.communicate()[1] for task in tasks]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finish(tasks, within=60):
    said = [task.communicate(timeout=within)[1] for task in tasks]
    return [task.returncode for task in tasks], said


def state_of(path, iteration):
    weights, state = run_of(path).load(iteration)
    found = {}

    def flatten(value, name):
        if isinstance(value, torch.Tensor):
            found[name] = value
        elif isinstance(value, dict | list | tuple):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                flatten(item, f"{name}/{key}")

    flatten({"weights": weights, "model": state["model"]}, "")
    return found


def test_sigusr1_to_all_or_one_task_stops_both_and_the_next_job_goes_on_to_the_same_bytes(write):
    whole, stopped = write("whole", 16), write("stopped", 16)
    with srun(whole) as tasks:
        codes, said = finish(tasks, 120)
        assert codes == [0, 0], said
    for receivers, reached in (((0, 1), 2), ((1,), 6), ((0,), 10)):
        with srun(stopped) as tasks:
            wait_for(stopped, reached, tasks)
            for number in receivers:  # `scancel --signal=USR1`, or the end of the time limit, sends it to all
                os.kill(tasks[number].pid, signal.SIGUSR1)
            codes, said = finish(tasks, 30)
            assert codes == [128 + signal.SIGUSR1] * 2, said
            assert sum("stopped by signal 10 after iteration" in text for text in said) == 1
    assert run_of(stopped).latest() < 16
    with srun(stopped) as tasks:
        codes, said = finish(tasks, 120)
        assert codes == [0, 0], said
    pair = state_of(whole, 16), state_of(stopped, 16)
    assert pair[0].keys() == pair[1].keys()
    assert any("optim_d" in name for name in pair[0])
    assert [name for name, value in pair[0].items() if not torch.equal(value, pair[1][name])] == []


def test_a_task_that_fails_ends_the_other_one(write):
    path = write("failing", 100_000)
    with srun(path) as tasks:
        wait_for(path, 2, tasks)
        tasks[1].kill()
        codes, said = finish(tasks[:1], 60)
        assert codes[0] not in (0, 138, 143), said
    assert rank_log(run_of(path).root, 0).exists()
    assert run_of(path).latest() is not None
