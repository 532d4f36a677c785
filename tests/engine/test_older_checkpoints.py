"""A checkpoint that any version has written loads, and training goes on from it.

`checkpoints/` has one for each release; those of 0.1.0 are of its first weeks, when it had nothing to say yet of steps
that were left out, and of its last state before parameters were saved by name.
"""

import logging
import tarfile
from pathlib import Path

import pytest
import torch
import yaml
from keep_checkpoint import ITERATION, options, pattern, tensors

from dmdnet.config import load_options
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.train import train

KEPT = sorted((Path(__file__).parent / "checkpoints").glob("*.tar.xz"))


def test_there_are_some():
    assert len(KEPT) >= 2


@pytest.mark.parametrize("archive", KEPT, ids=lambda path: path.name.removesuffix(".tar.xz"))
def test_it_loads_and_training_goes_on(archive, faces, tmp_path, caplog):
    run = CheckpointFolder(tmp_path / "experiments" / "kept")
    with tarfile.open(archive) as packed:
        packed.extractall(run.root, filter="data")
    assert run.latest() == ITERATION
    weights, state = run.load(ITERATION)
    held = list(tensors([weights, state["model"]]))
    assert len(held) > 300
    assert all(torch.equal(tensor, pattern(name, tensor.shape)) for name, tensor in held)
    content = options(faces, tmp_path / "experiments")
    content["train"]["total_iter"] = ITERATION + 1
    file = tmp_path / "kept.yml"
    file.write_text(yaml.safe_dump(content))
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(load_options(file))
    assert f"continuing {run.root} from iteration {ITERATION}" in caplog.text
    assert run.latest() == ITERATION + 1
    assert run.load(ITERATION + 1)[1]["draws"] == 2 * (ITERATION + 1)
