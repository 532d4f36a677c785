"""One process to a run: the second refuses, and a dead owner's lock is free."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dmdnet.engine import run_lock as module
from dmdnet.engine.distributed import World
from dmdnet.engine.run_lock import NAME, Lock, is_held, run_lock
from dmdnet.engine.train import train
from dmdnet.errors import CheckpointError, RunLockedError

ROOT = Path(__file__).parents[2]


def forked(work):
    """Run `work` in a child that ends without clean-up, and return its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def refused(folder, **keywords):
    """Return 7 when the lock is refused, 0 when it is taken."""
    module._held.clear()  # what the parent of a fork holds is not held by the child
    try:
        Lock.take(folder, **keywords)
    except RunLockedError:
        return 7
    return 0


def test_the_second_process_is_refused_and_the_first_named(tmp_path):
    with run_lock(tmp_path, World()):
        assert is_held(tmp_path)
        assert forked(lambda: refused(tmp_path)) == 7
        assert forked(lambda: (module._held.clear(), int(is_held(tmp_path)))[1]) == 1
        with pytest.raises(RunLockedError, match=rf"already being trained \(process {os.getpid()} on .*since \d{{4}}-"):
            Lock.take(tmp_path)
    assert not is_held(tmp_path)
    assert forked(lambda: refused(tmp_path)) == 0


def test_only_rank_zero_takes_it_and_the_others_hear_of_a_refusal(tmp_path):
    class Second(World):
        def highest(self, value):
            return 1  # what rank 0 said

    with pytest.raises(RunLockedError, match="rank 0 could not take the lock"), run_lock(tmp_path, Second(1, 2)):
        pass
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_owner_leaves_it_free_at_once_even_with_a_child_alive(tmp_path, number):
    ready, children = os.pipe()
    pid = os.fork()
    if pid == 0:
        Lock.take(tmp_path)
        worker = os.fork()  # as a DataLoader's worker is: it has a copy of the open file
        if worker == 0:
            time.sleep(30)
            os._exit(0)
        os.write(children, worker.to_bytes(4, "little"))
        time.sleep(30)
        os._exit(0)
    worker = int.from_bytes(os.read(ready, 4), "little")
    try:
        os.kill(pid, number)
        os.waitpid(pid, 0)
        began = time.monotonic()
        assert not is_held(tmp_path)
        assert forked(lambda: refused(tmp_path)) == 0
        assert time.monotonic() - began < 2
    finally:
        os.kill(worker, signal.SIGKILL)


class TestWithoutFcntl:
    """As on a network file system that has no such lock."""

    def take(self, folder):
        return Lock.take(folder, use_fcntl=False, stale_after=0.6)

    def text(self, folder, **changes):
        folder.mkdir(exist_ok=True)
        owner = {"host": "elsewhere", "pid": 1, "started": "2026-01-01 00:00:00", "fcntl": False, **changes}
        (folder / NAME).write_text(json.dumps(owner))

    def test_a_living_owner_is_seen_by_its_beat(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "BEAT", 0.05)
        lock = self.take(tmp_path)
        assert forked(lambda: refused(tmp_path, use_fcntl=False, stale_after=0.6)) == 7
        lock.release()
        assert forked(lambda: refused(tmp_path, use_fcntl=False, stale_after=0.6)) == 0

    def test_a_dead_process_of_this_machine_is_stale_at_once(self, tmp_path):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        self.text(tmp_path, host=module.socket.gethostname(), pid=dead.pid)
        self.take(tmp_path).release()

    def test_another_machine_without_a_beat_is_taken_over(self, tmp_path, caplog):
        self.text(tmp_path)
        assert is_held(tmp_path)
        began = time.monotonic()
        self.take(tmp_path).release()
        assert time.monotonic() - began >= 0.6
        assert "waiting 0.6 s for a sign of life" in caplog.text
        assert "elsewhere" in caplog.text

    def test_an_old_one_is_taken_over_without_waiting(self, tmp_path):
        self.text(tmp_path)
        os.utime(tmp_path / NAME, (1e9, 1e9))
        assert not is_held(tmp_path)
        Lock.take(tmp_path, use_fcntl=False).release()  # would wait a minute otherwise

    def test_a_torn_text_is_nobodys(self, tmp_path):
        (tmp_path / NAME).write_text('{"host": "els')
        assert not is_held(tmp_path)
        self.take(tmp_path).release()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"set path\.experiments_root"):
        Lock.take(tmp_path / "file" / "run")


def test_training_takes_it_and_lets_go_and_a_refused_start_changes_nothing(tiny):
    options = tiny()
    train(options)
    root = Path(options.path.experiments_root) / options.name
    assert not is_held(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != NAME}
    with run_lock(root, World()), pytest.raises(RunLockedError):
        train(options)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != NAME} == before
