"""What decides a number, in a few characters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dmdnet.evaluation.fingerprint import files_stamp

STAMPS = """
import sys
from dmdnet.config import load_options
from dmdnet.data.loading import build_dataset
from dmdnet.evaluation.fingerprint import files_stamp
entry = load_options(sys.argv[1]).datasets["test_1"]
dataset = build_dataset(entry, seed=0, phase="test")
print([(dataset.files(record), files_stamp(dataset.files(record))) for record in range(len(dataset))])
"""


def test_the_order_of_files_does_not_count_and_the_files_do(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in "abc"]
    (tmp_path / "a").write_bytes(b"1")
    stamp = files_stamp(paths)
    assert files_stamp(paths[::-1]) == stamp
    (tmp_path / "b").write_bytes(b"")
    assert files_stamp(paths) != stamp


@pytest.mark.slow
def test_every_process_has_the_same_stamps(tmp_path: Path) -> None:
    """Texts hash differently in each process: what comes out of a set of them has another order."""
    from made_benchmark import make_benchmark

    recipe = make_benchmark(tmp_path)
    root = str(Path(__file__).parents[2])
    found = {
        subprocess.run(
            [sys.executable, "-c", STAMPS, str(recipe)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(found) == 1
