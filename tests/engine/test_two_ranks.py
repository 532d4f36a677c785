"""Two processes on one machine, started by torchrun, against one process with the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from dmdnet.config import load_options
from dmdnet.engine.checkpoint import CheckpointFolder

SCRIPT = Path(__file__).with_name("two_ranks.py")
ROOT = Path(__file__).parents[2]


def launch(option_file, out, ranks):
    out.mkdir()
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"] if ranks > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *torchrun, str(SCRIPT), str(option_file), str(out)],
        cwd=out,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(out / f"{rank}.pt", weights_only=True) for rank in range(ranks)], done.stderr


@pytest.fixture
def write(option_file):
    """Write the option file of a run of three iterations with the discriminator on from the start."""

    def build(name, batch, accumulate=1):
        path = option_file(name, gan_start=1)
        content = yaml.safe_load(path.read_text())
        content["train"]["total_iter"] = 3
        content["train"]["accumulate"] = accumulate
        content["datasets"]["train"]["batch_size_per_gpu"] = batch
        content["datasets"]["val"] = {
            **content["datasets"]["train"],
            "name": "people",
            "allow_split_overlap": True,
        }
        content["val"] = {"val_freq": 3, "metrics": {"psnr": {"type": "PSNR"}}, "modes": ["input", "generic"]}
        path.write_text(yaml.safe_dump(content))
        return path

    return build


@pytest.mark.parametrize("parts", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_two_ranks_train_as_one(write, tmp_path, parts):
    """With the batch of each rank in one part, or added up from two."""
    pair_file = write("pair", 2 // parts, parts)
    (first, second), log = launch(pair_file, tmp_path / "pair_out", 2)
    (alone,), _ = launch(write("alone", 4), tmp_path / "alone_out", 1)

    # The ranks share the batch and hold the same weights, to the last bit.
    assert sorted(first["names"] + second["names"]) == sorted(alone["names"])
    for kind in first["state"]:
        for key, value in first["state"][kind].items():
            assert torch.isfinite(value).all()
            assert torch.equal(value, second["state"][kind][key]), key

    # Their gradients are those of the whole batch, but for the order of float32 sums; more parts round more often.
    tolerance = 1e-4 if parts == 1 else 1e-3
    for key, expected in alone["gradients"].items():
        scale = expected.abs().max().clamp(min=1e-3)
        assert (first["gradients"][key] - expected).abs().max() <= tolerance * scale, key

    # And so are the weights after three steps. Adam's step hardly depends on a gradient's size, so where a gradient is
    # next to nothing its rounding decides: nearly all weights agree to 1e-5, none differs by more than three steps.
    for kind, state in alone["state"].items():
        differences = torch.cat([(first["state"][kind][key] - value).abs().flatten() for key, value in state.items()])
        assert differences.quantile(0.99) < 1e-5, kind
        assert differences.max() < 3 * 2e-3

    # One process writes; validation counts every picture once.
    options = load_options(pair_file)
    run = CheckpointFolder(Path(options.path.experiments_root) / "pair")
    assert run.latest() == 3
    assert len(list(run.root.glob("train_pair_*.log"))) == 1
    assert "2 rank(s) on cpu, batch 4 in all" in log
    assert "(9 pictures): input_psnr" in log
    assert log.count("iterations 1 to 3") == 1
