"""What a run shows: progress, log file, grids of pictures."""

import contextlib
import logging
import os
import sys
from datetime import timedelta

import pytest
import torch

from dmdnet.data.batch import FaceBatch, References
from dmdnet.engine import progress
from dmdnet.engine.distributed import World
from dmdnet.engine.logger import run_log
from dmdnet.engine.pictures import first_faces, picture_grid
from dmdnet.engine.progress import Clock, open_progress, progress_line
from dmdnet.errors import CheckpointError, DataError


def test_clock_measures_speed_and_waiting(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])

    def batches():
        for number in range(10):
            now[0] += 0.5
            yield number

    source = batches()
    clock = Clock(start=20, total=40)
    for iteration in range(21, 25):
        assert clock.wait(source) == iteration - 21
        now[0] += 1.5
    assert clock.lap(24) == {"it_per_s": 0.5, "data_wait_share": 0.25}
    assert clock.eta(24) == timedelta(seconds=32)
    clock.wait(source)
    now[0] += 3.5
    assert clock.lap(25) == {"it_per_s": 0.25, "data_wait_share": 0.125}


def test_line_says_when_data_are_the_limit():
    speed = {"it_per_s": 2.0, "data_wait_share": 0.43}
    line = progress_line(1500, 3000, timedelta(seconds=750), speed, {"l_g_l1_generic": 0.123456})
    assert line == "iter 1,500/3,000, eta 0:12:30, 2.00 it/s, limited by data: 43% | l_g_l1_generic: 0.1235"
    assert "data wait 3%" in progress_line(1, 2, timedelta(0), {**speed, "data_wait_share": 0.03}, {})


def test_the_bar_runs_on_a_terminal_and_lines_elsewhere(capsys):
    for terminal in (True, False):
        with open_progress(shown=True, terminal=terminal) as display:
            display.show(3, 10, "eta 0:01")
            display.print("[bold]a line[/bold]")
        assert "[bold]a line[/bold]" in capsys.readouterr().err


def test_the_log_goes_to_a_file_and_ends_with_the_error(tmp_path, capsys):
    log = logging.getLogger("dmdnet.somewhere")

    def run():
        with run_log(tmp_path / "run", "demo", World()):
            log.info("hello")
            raise DataError("a picture is broken")

    with pytest.raises(DataError):
        run()
    (file,) = (tmp_path / "run").glob("train_demo_*.log")
    text = file.read_text()
    assert "INFO: hello" in text
    assert "ERROR: a picture is broken" in text
    console = capsys.readouterr().err
    assert "hello" in console
    assert "broken" not in console  # the command line prints it
    assert logging.getLogger("dmdnet").handlers == []


def test_a_console_that_nobody_reads_any_more_does_not_end_a_run(tmp_path, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)  # as of `python train.py 2>&1 | head`
    broken = os.fdopen(writing, "w", buffering=1)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", broken)
        with run_log(tmp_path, "demo", World()):
            logging.getLogger("dmdnet.somewhere").info("hello")
    with contextlib.suppress(BrokenPipeError):
        broken.close()
    (file,) = tmp_path.glob("train_demo_*.log")
    assert "hello" in file.read_text()


def test_an_error_that_names_bytes_that_are_no_text_is_the_one_that_comes_out(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("dmdnet"), "propagate", False)  # pytest-xdist cannot send such text
    with pytest.raises(DataError, match="damaged"), run_log(tmp_path, "demo", World()):
        raise DataError("caf\udce9.png: damaged")
    with pytest.raises(ZeroDivisionError, match="caf"), run_log(tmp_path, "demo", World()):
        raise ZeroDivisionError("caf\udce9.png")
    assert (tmp_path / "log_rank0.txt").read_text().count("caf\\udce9.png") >= 2
    assert "caf\\udce9.png: damaged" in "".join(file.read_text() for file in tmp_path.glob("train_demo_*.log"))


def test_a_log_that_cannot_be_written_is_an_error_with_the_path(tmp_path):
    (tmp_path / "run").write_text("no folder")
    with pytest.raises(CheckpointError, match=r"run/train_demo_.*log: the log cannot be written: "):
        run_log(tmp_path / "run", "demo", World()).__enter__()


def test_other_ranks_write_no_log(tmp_path, capsys):
    with run_log(tmp_path / "run", "demo", World(rank=1, size=2)):
        logging.getLogger("dmdnet.somewhere").info("hello")
    assert not (tmp_path / "run").exists()
    assert "hello" not in capsys.readouterr().err


def faces(count=6, rows=5):
    pictures = torch.arange(count * 3 * 8 * 8).view(count, 3, 8, 8).to(torch.uint8)
    mask = torch.zeros(count, rows, dtype=torch.bool)
    mask[:, 0] = True
    boxes = torch.zeros(count, 4, 4)
    references = References(
        torch.full((count, rows, 3, 8, 8), 200, dtype=torch.uint8), torch.zeros(count, rows, 4, 4), mask
    )
    names = tuple("abcdef"[:count])
    return FaceBatch(pictures, boxes, names, names, pictures, boxes, references)


def test_grid_shows_a_row_per_face():
    batch = first_faces(faces())
    assert batch.names == ("a", "b", "c", "d")
    restored = {"generic": torch.zeros(4, 3, 8, 8), "specific": torch.ones(4, 3, 8, 8)}
    grid = picture_grid(batch, restored)
    assert grid.dtype == torch.uint8
    assert grid.shape == (3, 4 * 8, 7 * 8)  # degraded, two restored, target, three references
    assert torch.equal(grid[:, 8:16, 0:8], batch.lq_BCHW[1])
    assert (grid[:, :, 16:24] == 255).all()
    assert (grid[:, :, 32:40] == 200).all()
    assert (grid[:, :, 40:] == 0).all()  # padding is black
    alone = FaceBatch(batch.lq_BCHW, batch.lq_boxes_B44, batch.names, batch.identities)
    assert picture_grid(alone, {}).shape == (3, 32, 8)
