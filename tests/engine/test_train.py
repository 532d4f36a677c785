"""Runs from start to end, and runs that stop on the way: the same weights to the last bit."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from dmdnet.config import load_options
from dmdnet.engine import train as engine
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.train import train
from dmdnet.errors import CheckpointError, ConfigError, NonFiniteLossError
from dmdnet.models.dmdnet_model import DMDNetModel

ROOT = Path(__file__).parents[2]
SOME_METRICS = {"psnr": {"type": "PSNR"}}


def run_of(options):
    return CheckpointFolder(Path(options.path.experiments_root) / options.name)


def tensors(value, prefix=""):
    """Yield every tensor in nested mappings and lists, with its path."""
    if isinstance(value, torch.Tensor):
        yield prefix, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tensors(item, f"{prefix}/{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from tensors(item, f"{prefix}/{index}")


def assert_same_bits(one, two, iteration):
    """Compare both networks, the average and both optimisers of two runs."""
    pair = [dict(tensors(run_of(options).load(iteration))) for options in (one, two)]
    assert pair[0].keys() == pair[1].keys()
    assert any("params_ema" in name for name in pair[0])
    assert any("optim_g" in name and "exp_avg" in name for name in pair[0])
    assert [name for name in pair[0] if not torch.equal(pair[0][name], pair[1][name])] == []


def test_a_run_leaves_weights_states_log_and_description(tiny, caplog):
    options = tiny(gan_start=2, logger={"use_tb_logger": True, "image_freq": 2})
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(options)
    root = run_of(options).root
    assert run_of(options).iterations() == [4, 2]
    assert run_of(options).latest() == 4
    assert (root / "models" / "net_g_latest.pth").read_bytes() == (root / "models" / "net_g_4.pth").read_bytes()
    assert load_options(root / "options.yml") == options
    torch_version = json.loads((root / "environment.json").read_text())["packages"]["torch"]
    assert torch.__version__.startswith(torch_version)
    assert list((root / "tb_logger").glob("events.*"))
    (log,) = root.glob("train_tiny_*.log")
    text = log.read_text()
    for wanted in (
        "net_g: DMDNet",
        "iter 2/4",
        "l_g_l1_specific",
        "l_d_fake",
        "usage_entropy:",
        "dead_slots:",
        "it/s",
        "finished",
    ):
        assert wanted in text
    assert not list(root.rglob("*.tmp"))


def test_a_finished_run_says_so_and_changes_nothing(tiny, caplog):
    options = tiny()
    train(options)
    before = {path: path.read_bytes() for path in run_of(options).root.rglob("*.pth")}
    (run_of(options).models / "net_g_latest.pth").unlink()  # as if it had been killed just before the end
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(options)
    assert "already finished at iteration 4" in caplog.text
    assert {path: path.read_bytes() for path in run_of(options).root.rglob("*.pth")} == before


def test_an_old_run_is_not_overwritten_without_auto_resume(tiny):
    options = tiny()
    train(options, auto_resume=False)  # a new run is fine
    with pytest.raises(CheckpointError, match=r"already has checkpoints up to iteration 4.*--auto_resume"):
        train(options, auto_resume=False)


def test_a_restart_runs_again(tiny, caplog):
    train(tiny())
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(tiny(network_g={"dictionary_size": 5}), restart=True)
    assert "iterations 1 to 4" in caplog.text


@pytest.mark.parametrize("stop_at", [1, 3])
def test_a_signal_saves_at_the_steps_boundary_and_the_rest_is_bit_identical(tiny, monkeypatch, stop_at):
    whole, parts = tiny(name="whole", gan_start=3), tiny(name="parts", gan_start=3)
    train(whole)
    step = DMDNetModel.step

    def stopped(self, batch, iteration):
        if iteration == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(DMDNetModel, "step", stopped)
        with pytest.raises(SystemExit) as stop:
            train(parts)
    assert stop.value.code == 128 + signal.SIGTERM
    assert run_of(parts).latest() == stop_at
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    train(parts)
    assert_same_bits(whole, parts, 4)


def start_and_kill(option_file, run, at_least):
    """Train in another process and kill it with SIGKILL some time after the checkpoint `at_least`."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "train.py", "-opt", str(option_file)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (run.states / f"{at_least}.json").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("workers", [0, 2])
def test_kill_and_go_on_gives_the_same_bits_as_a_run_without_a_kill(option_file, workers):
    """With the discriminator switched on after the kill, or just before it: it depends on when the kill falls."""
    changes = {
        "gan_start": 5,
        "logger": {"save_checkpoint_freq": 3, "print_freq": 5, "use_tb_logger": False},
    }

    def write(name):
        path = option_file(name, **changes)
        content = yaml.safe_load(path.read_text())
        content["train"]["total_iter"] = 12
        content["datasets"]["train"]["num_worker_per_gpu"] = workers if name == "killed" else 0
        path.write_text(yaml.safe_dump(content))
        return path

    whole = load_options(write("whole"))
    killed_file = write("killed")
    killed = load_options(killed_file)
    train(whole)
    start_and_kill(killed_file, run_of(killed), at_least=3)
    assert run_of(killed).latest() < 12
    train(killed)
    assert_same_bits(whole, killed, 12)


def test_adding_up_two_batches_takes_the_samples_of_one_twice_as_large(tiny, monkeypatch):
    seen = []
    step = DMDNetModel.step

    def watched(self, batch, iteration):
        seen.append((batch.names, batch.gt_BCHW.sum(dim=(1, 2, 3)).tolist()))
        return step(self, batch, iteration)

    monkeypatch.setattr(DMDNetModel, "step", watched)
    train(tiny(name="added", train={"total_iter": 2, "accumulate": 2}))
    added, seen[:] = seen[:], []
    large = tiny(name="large", train={"total_iter": 2})
    entry = large.datasets["train"].model_copy(update={"batch_size_per_gpu": 4})
    train(large.model_copy(update={"datasets": {"train": entry}}))
    assert added == seen
    states = [run_of(options).load(2)[1]["draws"] for options in (tiny(name="added"), large)]
    assert states == [8, 8]


def test_a_damaged_checkpoint_costs_one_interval_not_the_run(tiny, caplog):
    whole, damaged = tiny(name="whole"), tiny(name="damaged")
    train(whole)
    train(damaged)
    path = run_of(damaged).models / "net_g_4.pth"
    path.write_bytes(path.read_bytes()[:-1])
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(damaged)
    assert "checkpoint 4 is damaged" in caplog.text
    assert "from iteration 2" in caplog.text
    assert_same_bits(whole, damaged, 4)


def test_resume_state_continues_another_run(tiny, option_file):
    whole = tiny(name="whole")
    train(whole)
    state = run_of(whole).states / "2.state"
    branch = load_options(option_file("branch", path={"resume_state": str(state)}))
    train(branch)
    assert_same_bits(whole, branch, 4)
    assert run_of(branch).iterations() == [4]


def test_a_branch_goes_on_from_its_own_checkpoints_once_it_has_some(tiny, option_file, caplog):
    train(tiny(name="whole"))
    state = run_of(tiny(name="whole")).states / "2.state"
    branch = load_options(option_file("branch", path={"resume_state": str(state)}, logger={"save_checkpoint_freq": 3}))
    train(branch)
    (run_of(branch).states / "4.json").unlink()  # as if it had been killed after iteration 3
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(branch)
    assert f"continuing {run_of(branch).root} from iteration 3" in caplog.text
    with pytest.raises(CheckpointError, match="already has checkpoints"):
        train(branch, auto_resume=False)


def test_a_state_of_the_run_itself_goes_back_to_it(tiny, option_file, caplog):
    options = tiny()
    train(options)
    state = run_of(options).states / "2.state"
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(load_options(option_file(path={"resume_state": str(state)})))
    assert "from iteration 2" in caplog.text


def test_changed_options_are_logged(tiny, caplog):
    train(tiny())
    longer = tiny(logger={"save_checkpoint_freq": 3})
    recipe = longer.train.model_copy(update={"total_iter": 5})
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(longer.model_copy(update={"train": recipe}))
    assert "option changed since the checkpoint: train.total_iter: 4 -> 5" in caplog.text
    assert "logger.save_checkpoint_freq: 2 -> 3" in caplog.text
    assert run_of(longer).latest() == 5


def test_a_changed_network_is_refused(tiny):
    train(tiny())
    with pytest.raises(CheckpointError, match=r"network_g\.dictionary_size: 4 -> 5.*under another name"):
        train(tiny(network_g={"dictionary_size": 5}))


def test_a_run_goes_on_after_the_weights_it_began_from_have_gone(tiny, tmp_path):
    first = tiny()
    train(first)
    begin = tmp_path / "begin.pth"
    begin.write_bytes((run_of(first).models / "net_g_4.pth").read_bytes())
    train(tiny(name="second", path={"pretrain_network_g": str(begin)}))
    begin.unlink()
    longer = tiny(name="second", path={"pretrain_network_g": str(begin)}, train={"total_iter": 6})
    train(longer)
    assert run_of(longer).latest() == 6


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(tiny, monkeypatch):
    options = tiny()
    forward = engine.build_model

    def poisoned(*args, **keywords):
        model = forward(*args, **keywords)
        step = model.step

        def step_then_break(batch, iteration):
            if iteration == 3:
                model.objective.losses[0].forward = lambda inputs: inputs.pred_BCHW.sum(dim=(1, 2, 3)) * torch.nan
            return step(batch, iteration)

        model.step = step_then_break
        return model

    monkeypatch.setattr(engine, "build_model", poisoned)
    with pytest.raises(NonFiniteLossError, match=r"iteration 3: l_g_l1_generic is nan for 0"):
        train(options)
    assert run_of(options).latest() == 2
    (log,) = run_of(options).root.glob("train_tiny_*.log")
    assert "l_g_l1_generic is nan" in log.read_text()


def test_validation_runs_with_the_averaged_weights(option_file, tiny, caplog):
    modes = ["input", "generic", "specific"]
    path = option_file("validated", val={"val_freq": 2, "metrics": SOME_METRICS, "modes": modes})
    content = yaml.safe_load(path.read_text())
    content["datasets"]["val"] = {
        **content["datasets"]["train"],
        "name": "people",
        "allow_split_overlap": True,
    }
    path.write_text(yaml.safe_dump(content))
    with_val = load_options(path)
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(with_val)
    assert "validation after iteration 2 on people (9 pictures): input_psnr" in caplog.text
    assert "validation after iteration 4" in caplog.text
    assert len(list((run_of(with_val).root / "visualization" / "people" / "generic").rglob("*.png"))) == 9
    plain_run = tiny(name="plain")
    train(plain_run)
    assert_same_bits(with_val, plain_run, 4)  # looking at a network does not change it


def test_option_files_that_are_not_for_training_are_refused(tiny):
    options = tiny()
    with pytest.raises(ConfigError, match="no 'train' section"):
        train(options.model_copy(update={"train": None}))
    with pytest.raises(ConfigError, match=r"no entry 'train' \(it has test\)"):
        train(options.model_copy(update={"datasets": {"test": options.datasets["train"]}}))
    with pytest.raises(ConfigError, match=r"datasets\.train_2 would not be used.*MixedDataset"):
        train(options.model_copy(update={"datasets": {**options.datasets, "train_2": options.datasets["train"]}}))


def test_deterministic_runs_set_what_cublas_needs(tiny, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    try:
        train(tiny(deterministic=True))
    finally:
        torch.use_deterministic_algorithms(False)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
