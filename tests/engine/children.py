"""Forked processes that end as killed ones do: nothing is cleaned up."""

import os
import signal
import time

import pytest
import torch


def in_child(work):
    """Run `work` in a forked process, which ends with the code that it returns; return its id."""
    pid = os.fork()
    if pid == 0:
        torch.set_num_threads(1)  # the threads that this process may have computed on are not in the forked one
        code = 98
        try:
            code = work() or 0
        finally:
            os._exit(code)
    return pid


def code_of(pid, within=600.0):
    """Wait at most `within` seconds for a child; return its exit code, or minus the signal that ended it."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pytest.fail("the process did not end")


def code_of_child(work):
    """Run `work` in a forked process to its end; return the exit code as `code_of` does."""
    return code_of(in_child(work))
