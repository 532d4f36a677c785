"""The benchmark of training, and the loop written by hand that it is measured against."""

import json

import pytest
import torch
import yaml
from tiny_run import tiny_options

from dmdnet.benchmarks.plain_loop import plain_loop
from dmdnet.benchmarks.train import AS_BY_HAND, BY_HAND, report, run_train_benchmark
from dmdnet.benchmarks.train_variants import PLAIN, TOGETHER, variants
from dmdnet.cli.main import main
from dmdnet.config import load_options
from dmdnet.data.demo_faces import make_demo_faces
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.errors import ConfigError, DeviceMemoryError
from dmdnet.models.base import build_model
from dmdnet.models.dmdnet_model import DMDNetModel


@pytest.fixture(scope="module")
def option_file(tmp_path_factory):
    """Write drawn faces and the option file of a tiny run on them."""
    root = tmp_path_factory.mktemp("bench")
    make_demo_faces(root, identities=2, images_per_identity=3, size=64)
    options = tiny_options(root)
    options["train"]["total_iter"] = 100
    options["train"]["losses"].append({"type": "ComponentL1Loss", "loss_weight": 2.0})
    path = root / "tiny.yml"
    path.write_text(yaml.safe_dump(options))
    return path


def test_the_projects_loop_computes_what_one_written_by_hand_does(option_file):
    """The same weights and the same average after ten steps, to the bit."""
    options = load_options(option_file)
    entry = options.datasets["train"]
    batches = iter(build_loader(build_dataset(entry, seed=0, phase="train"), entry, phase="train"))
    model = build_model(options, "cpu")
    net, ema, step = plain_loop(options, torch.device("cpu"))
    for iteration in range(1, 11):
        batch = next(batches)
        model.step(batch, iteration)
        step(batch, iteration)
    for theirs, ours in ((net, model.net_g), (ema, model.ema.module)):
        state = ours.state_dict()
        assert [name for name, value in theirs.state_dict().items() if not torch.equal(value, state[name])] == []


def test_variants_change_one_switch_each(option_file):
    found = variants(load_options(option_file), cuda=True, leave_out=("fp16",))
    assert "fp16" not in found
    assert found[PLAIN].train.amp == "none"
    assert found[PLAIN].model.options["channels_last"] is False
    assert found["bf16"].train.amp == "bf16"
    assert found["bf16"].model == found[PLAIN].model
    assert found["channels last"].train == found[PLAIN].train
    together = found[TOGETHER]
    assert (together.train.amp, together.train.matmul_precision, together.train.compile) == ("bf16", "high", True)
    assert together.train.optim_g.options["implementation"] == "fused"
    assert together.model.options["channels_last"] is True
    assert "tf32" not in variants(load_options(option_file), cuda=False)
    assert found["half batches added up"].train.accumulate == 2
    assert "degraded by workers" not in found  # it is so already
    assert found["degraded on the device"].datasets["train"].dataset.options["degrade_on"] == "device"
    assert together.datasets == found[PLAIN].datasets
    other = load_options(option_file, ["datasets.train.degrade_on=device"])
    assert "degraded on the device" not in variants(other, cuda=False)
    assert (
        variants(other, cuda=False)["degraded by workers"].datasets["train"].dataset.options["degrade_on"] == "worker"
    )


def test_what_is_left_out_is_in_no_way(option_file, capsys):
    found = variants(load_options(option_file), cuda=True, leave_out=("compile",))
    assert "bf16" in found
    assert not any(options.train.compile for options in found.values())
    assert main(["bench", "train", "-opt", str(option_file), "--without", "compile", "bf61"]) == 2
    assert "--without: no way is called 'bf61'; those that can be left out: tf32, bf16," in capsys.readouterr().err


def test_the_command_measures_every_way_and_writes_both_files(option_file, tmp_path, capsys):
    out, table = tmp_path / "bench.json", tmp_path / "bench.md"
    command = ["bench", "train", "-opt", str(option_file), "--iterations", "2"]
    without = ["--without", "compile", "fp16", "recomputed activations", "compile, recomputed"]
    assert main([*command, *without, "--json", str(out), "-o", str(table)]) == 0
    result = json.loads(out.read_text())
    assert list(result["ways"]) == [
        PLAIN,
        "bf16",
        "channels last",
        "fused adam",
        "half batches added up",
        "degraded on the device",
        TOGETHER,
        AS_BY_HAND,
        BY_HAND,
    ]
    plain = result["ways"][PLAIN]
    assert plain["ratio"] == 1
    assert plain["samples_per_s"] == pytest.approx(2 * plain["it_per_s"], rel=1e-3)
    assert 0 <= plain["data_wait_share"] < 1
    assert result["ways"]["fused adam"]["host_reads_per_step"] <= 2  # of the mask, which is on the host anyway
    assert result["ways"][AS_BY_HAND]["time_to_hand_written"] > 0
    assert result["skipped"] == {}
    text = capsys.readouterr().out
    assert text == table.read_text()
    assert f"| {TOGETHER} |" in text
    assert "times that of the loop written by hand" in text


def test_batches_that_are_degraded_on_the_device_are_measured(option_file, tmp_path):
    out = tmp_path / "bench.json"
    command = ["bench", "train", "-opt", str(option_file), "--iterations", "1", "--json", str(out)]
    ways = ["bf16", "fp16", "channels last", "fused adam", "compile", "recomputed activations", "compile, recomputed"]
    changes = ["datasets.train.degrade_on=device"]
    assert main([*command, "--without", *ways, "half batches added up", "--set", *changes]) == 0
    result = json.loads(out.read_text())
    assert list(result["ways"]) == [PLAIN, "degraded by workers", TOGETHER]


def test_an_option_file_without_training_is_refused(option_file, capsys):
    assert main(["bench", "train", "-opt", str(option_file), "--set", "train=~"]) == 2
    assert "bench train needs an option file with 'train'" in capsys.readouterr().err


WITHOUT = (
    "compile",
    "recomputed activations",
    "fused adam",
    "half batches added up",
    "degraded on the device",
    BY_HAND,
)


@pytest.mark.parametrize("late", [False, True])
def test_a_way_that_lacks_memory_costs_no_other_its_figures(option_file, monkeypatch, late):
    step = DMDNetModel.step

    def scarce(self, batch, iteration):
        if self.amp is not None and not self.channels_last and iteration > (6 if late else 0):
            raise DeviceMemoryError("no memory left\nat all")
        return step(self, batch, iteration)

    monkeypatch.setattr(DMDNetModel, "step", scarce)
    result = run_train_benchmark(load_options(option_file), 1, WITHOUT, say=lambda text: None)
    assert list(result["ways"]) == [PLAIN, "channels last", TOGETHER]
    assert result["skipped"] == {"bf16": "no memory left"}
    assert "Not measured: bf16: no memory left" in report(result)


def test_without_the_plain_way_there_is_nothing_to_compare_to(option_file, monkeypatch):
    def scarce(self, batch, iteration):
        raise DeviceMemoryError("no memory left")

    monkeypatch.setattr(DMDNetModel, "step", scarce)
    with pytest.raises(ConfigError, match="plain fp32 eager, to which all is compared, cannot be measured: no memory"):
        run_train_benchmark(load_options(option_file), 1, WITHOUT, say=lambda text: None)
