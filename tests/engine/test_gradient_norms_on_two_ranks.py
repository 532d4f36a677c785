"""Measuring the gradient of each term beside data-parallel training."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dmdnet.engine.history import read_scalars

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_two_ranks_train_to_the_same_bytes_whether_norms_are_measured(option_file, tmp_path):
    weights = []
    for every in (None, 2):
        name = f"every_{every}"
        path = option_file(name, gan_start=1, logger={"grad_norm_freq": every})
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
        done = subprocess.run(
            [sys.executable, *torchrun, str(ROOT / "train.py"), "-opt", str(path), "--launcher", "pytorch"],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        folder = tmp_path / "experiments" / name
        networks = [torch.load(folder / "models" / f"net_{one}_4.pth", weights_only=True)["params"] for one in "gd"]
        weights.append({f"{index}.{key}": value for index, part in enumerate(networks) for key, value in part.items()})
        measured = [key for key in read_scalars(folder)[4] if key.startswith("grad_norm/l_")]
        assert len(measured) == (6 if every else 0)
    assert [key for key, value in weights[0].items() if not torch.equal(value, weights[1][key])] == []
