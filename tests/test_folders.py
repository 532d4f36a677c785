"""Folders that appear whole: what killed processes leave is taken away, what living ones make is not."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import pytest

from dmdnet.folders import folder_beside


def started(path: Path) -> tuple[int, Path]:
    """Make a folder beside `path` in a process of its own, which goes on; return its number and the folder."""
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with folder_beside(path) as beside:
                (beside / "half").mkdir()
                os.write(done, str(beside).encode())
                signal.pause()
        finally:
            os._exit(0)
    return child, Path(os.read(ready, 4096).decode())


def end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_it_is_gone_unless_it_was_renamed(tmp_path: Path) -> None:
    with folder_beside(tmp_path / "set"):
        pass
    assert not list(tmp_path.iterdir())
    with folder_beside(tmp_path / "set") as beside:
        beside.rename(tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    child, left = started(tmp_path / "set")
    other, others = started(tmp_path / "set.two")
    end(child)
    end(other)
    assert (left / "half").is_dir()
    with folder_beside(tmp_path / "set"):
        assert not left.exists()
        assert others.exists()  # of another set


def test_what_may_be_at_work_is_named_and_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    child, at_work = started(tmp_path / "set")
    foreign = tmp_path / ".set.elsewhere.4194303.0123abcd.tmp"
    odd = tmp_path / ".set.tmp"
    for folder in (foreign, odd):
        folder.mkdir()
    try:
        with caplog.at_level(logging.WARNING), folder_beside(tmp_path / "set"):
            pass
    finally:
        end(child)
    for folder in (at_work, foreign, odd):
        assert folder.is_dir()
        assert str(folder) in caplog.text


def test_a_worker_that_lives_on_keeps_it(tmp_path: Path) -> None:
    """Its parent was killed, and it may still write."""
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with folder_beside(tmp_path / "set") as beside:
                worker = os.fork()
                if worker == 0:
                    signal.pause()
                os.write(done, f"{worker} {beside}".encode())
                signal.pause()
        finally:
            os._exit(0)
    worker, left = os.read(ready, 4096).decode().split(" ", 1)
    end(child)
    with folder_beside(tmp_path / "set"):
        assert Path(left).is_dir()
    os.kill(int(worker), signal.SIGKILL)
