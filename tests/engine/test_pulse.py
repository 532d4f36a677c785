"""A rank that stops is named, and all processes end; what a failing rank leaves behind."""

import contextlib
import json
import os
import re
import signal
import time
from datetime import timedelta

import pytest
import torch
from children import code_of, in_child

from dmdnet.engine.distributed import World
from dmdnet.engine.logger import run_log
from dmdnet.engine.pulse import EXIT_CODE, Pulse, beating, rank_log
from dmdnet.errors import DataError

TIMEOUT = 1.0


@pytest.fixture
def store():
    return torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def start_rank(port, rank, folder, work):
    """Start a rank with a pulse in a forked process."""

    def rank_of_two():
        store = torch.distributed.TCPStore("127.0.0.1", port, is_master=False, timeout=timedelta(seconds=5))
        pulse = Pulse(store, rank, 2, TIMEOUT, folder)
        pulse.start()
        work()
        pulse.stop()

    return in_child(rank_of_two)


def waiting_in_a_collective():
    time.sleep(30)


def test_a_stopped_rank_is_named_and_both_processes_end(store, tmp_path):
    first = start_rank(store.port, 0, tmp_path, waiting_in_a_collective)
    second = start_rank(store.port, 1, tmp_path, lambda: os.kill(os.getpid(), signal.SIGSTOP))
    assert code_of(first, 10) == EXIT_CODE
    assert code_of(second, 1) == -signal.SIGKILL
    text = rank_log(tmp_path, 0).read_text()
    assert re.search(rf"rank 0: rank 1 \(process {second} on .*\) has not been heard for 1 s", text)
    assert "waiting_in_a_collective" in text  # where this rank was


def test_a_slow_rank_and_one_that_has_left_are_not_missed(store, tmp_path):
    pids = [start_rank(store.port, rank, tmp_path, lambda n=rank: time.sleep(0.1 + 2.5 * n)) for rank in range(2)]
    assert [code_of(pid, 10) for pid in pids] == [0, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_does_not_answer_ends_the_rank(tmp_path):
    ready, done = os.pipe()
    holder = os.fork()
    if holder == 0:
        held = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        os.write(done, held.port.to_bytes(2, "little"))
        time.sleep(30)
        os._exit(0)
    try:
        first = start_rank(int.from_bytes(os.read(ready, 2), "little"), 0, tmp_path, waiting_in_a_collective)
        time.sleep(0.5)
        os.kill(holder, signal.SIGSTOP)
        assert code_of(first, 10) == EXIT_CODE
        assert "the process that holds the store of the run" in rank_log(tmp_path, 0).read_text()
    finally:
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)


def test_only_a_rank_that_ends_well_says_goodbye(store):
    for rank, error in enumerate((None, SystemExit(143), ZeroDivisionError())):
        with contextlib.suppress(SystemExit, ZeroDivisionError), beating(Pulse(store, rank, 3, 60.0)):
            if error is not None:
                raise error
        count = json.loads(store.get(f"dmdnet/pulse/{rank}"))["count"]
        assert (count < 0) is (rank < 2)


def test_the_process_of_a_rank_that_failed_is_missed_but_not_ended(store, tmp_path):
    """Its number may long be that of another process, which is what rank 1 is given here."""
    other = in_child(lambda: time.sleep(30))

    def fail():
        link = torch.distributed.TCPStore("127.0.0.1", store.port, is_master=False, timeout=timedelta(seconds=5))
        pulse = Pulse(link, 1, 2, TIMEOUT)
        os.getpid = lambda: other
        pulse.start()
        pulse.stop(goodbye=False)

    try:
        first = start_rank(store.port, 0, tmp_path, waiting_in_a_collective)
        assert code_of(in_child(fail), 10) == 0
        assert code_of(first, 10) == EXIT_CODE
        assert f"rank 1 (process {other} on" in rank_log(tmp_path, 0).read_text()
        assert os.waitpid(other, os.WNOHANG) == (0, 0)
    finally:
        os.kill(other, signal.SIGKILL)


@pytest.mark.parametrize("error", [DataError("a picture is broken"), ZeroDivisionError("division by zero")])
def test_a_rank_that_fails_leaves_its_reason(tmp_path, error):
    def fail():
        with run_log(tmp_path, "demo", World(rank=1, size=2)):
            raise error

    with pytest.raises(type(error)):
        fail()
    text = rank_log(tmp_path, 1).read_text()
    assert "rank 1 of 2" in text
    assert str(error) in text
    assert ("Traceback" in text) is isinstance(error, ZeroDivisionError)


def test_a_stop_by_signal_is_no_failure(tmp_path):
    def leave():
        with run_log(tmp_path, "demo", World()):
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        leave()
    assert not rank_log(tmp_path, 0).exists()
