"""Saving under every misfortune: a process that ends after any system call or at any time, full and read-only disks.

The children are forked and end as a killed process does: nothing is cleaned up. The long versions are run by
`make test-chaos`.
"""

import builtins
import contextlib
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from children import code_of_child, in_child

from dmdnet.config.options import LoggerOptions
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.durable import digest
from dmdnet.engine.run_lock import Lock
from dmdnet.engine.saving import Saver
from dmdnet.errors import CheckpointError

KEEP_TWO = LoggerOptions(keep_last=2)


def contents(iteration, numbers=12):
    network = {"type": "DMDNet", "image_size": 64}
    tensor = torch.full((numbers,), float(iteration))
    weights = {name: {"params": {"w": tensor}, "network": network} for name in ("net_g", "net_d")}
    return weights, {"draws": 8 * iteration, "model": {"optim_g": tensor}}


def is_whole(folder, allowed, numbers=12):
    """Load the newest checkpoint and look at all that is in it."""
    latest = folder.latest()
    assert latest in allowed
    weights, state = folder.load(latest)
    for tensor in (weights["net_g"]["params"]["w"], weights["net_d"]["params"]["w"], state["model"]["optim_g"]):
        assert tensor.shape == (numbers,)
        assert (tensor == latest).all()
    return latest


class Death:
    """Ends the process right after the n-th of the system calls that saving makes."""

    def __init__(self, after):
        self.left = after
        self.calls = []

    def count(self, name):
        self.calls.append(name)
        self.left -= 1
        if self.left == 0:
            os._exit(9)

    def wrap(self, owner, name, label=None):
        original = getattr(owner, name)

        def counted(*args, **keywords):
            result = original(*args, **keywords)
            self.count(label or name)
            return result

        setattr(owner, name, counted)

    def arm(self):
        opened = builtins.open

        def open_unbuffered(path, mode="r", *args, **keywords):
            """Writing reaches the system at once, so that each write is a call of its own."""
            file = opened(path, mode, 0) if mode == "xb" else opened(path, mode, *args, **keywords)
            if mode != "xb":
                return file
            self.count("open")
            return Writing(file, self)

        builtins.open = open_unbuffered
        for name in ("fsync", "replace", "unlink"):
            self.wrap(os, name)
        if hasattr(pathlib, "_normal_accessor"):  # Python 3.10: Path keeps its own hold of os.unlink
            self.wrap(pathlib._normal_accessor, "unlink")
        return self


class Writing:
    def __init__(self, file, death):
        self._file, self._death = file, death

    def write(self, data):
        size = self._file.write(data)
        self._death.count("write")
        return size

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_a_valid_checkpoint_is_there_after_every_system_call_of_saving_and_purging(tmp_path):
    root = tmp_path / "run"

    for number in (10, 20):
        CheckpointFolder(tmp_path / "begun").save(number, *contents(number))

    def fresh():
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(tmp_path / "begun", root)
        return CheckpointFolder(root)

    def save_30():
        with Saver(CheckpointFolder(root), KEEP_TWO) as saver:
            saver.save(30, *contents(30))
        return 0

    counting = Death(-1)
    fresh()
    report = tmp_path / "calls"

    def count():
        counting.arm()
        save_30()
        report.write_text(" ".join(counting.calls))

    assert code_of_child(count) == 0
    calls = report.read_text().split()
    assert {"open", "write", "fsync", "replace", "unlink"} <= set(calls)
    assert calls.count("replace") == 5  # three parts, the manifest, the purge
    for point in range(1, len(calls) + 1):
        folder = fresh()
        assert code_of_child(lambda n=point: (Death(n).arm(), save_30())[1]) == 9, calls[point - 1]
        is_whole(folder, (20, 30))
        folder.clean()  # the next start
        is_whole(folder, (20, 30))
        assert not [path for path in root.rglob("*") if path.suffix in (".tmp", ".purge")]
        if point % 10 == 0:
            with Saver(folder, KEEP_TWO) as saver:
                saver.save(40, *contents(40))
            is_whole(folder, (40,))


def save_for_ever(root, start, numbers):
    with Saver(CheckpointFolder(root), KEEP_TWO) as saver:
        for iteration in range(start, 10_000):
            saver.save(iteration, *contents(iteration, numbers))
            saver.check()
    return 1


def kill_while_saving(root, trials, numbers, longest):
    """Kill a saving process at random times; each goes on where the one before was killed."""
    chance = random.Random(0)
    folder = CheckpointFolder(root)
    folder.save(10, *contents(10, numbers))
    halves, latest = 0, 10
    for _ in range(trials):
        pid = in_child(partial(save_for_ever, root, latest + 1, numbers))
        time.sleep(chance.uniform(0.0, longest))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        halves += bool(list(root.rglob("*.tmp")))
        latest = is_whole(folder, range(latest, 10_000), numbers)
        folder.clean()
        assert len(folder.iterations()) <= 3
    assert latest > 10, "no process came to save anything"
    return halves


def test_kill_at_random_times_5_trials(tmp_path):
    kill_while_saving(tmp_path, 5, 500_000, 0.3)


@pytest.mark.chaos
def test_kill_at_random_times_100_trials_of_200_megabytes(tmp_path):
    halves = kill_while_saving(tmp_path, 100, 17_000_000, 2.0)
    assert halves >= 30  # most kills fell into the writing of a file


def flip_and_look(folder, trials):
    rng = np.random.Generator(np.random.Philox(0))
    paths = [*folder.models.glob("*_20.*"), folder.states / "20.state", folder.states / "20.json"]
    assert len(paths) == 5
    for trial in range(trials):
        path = paths[trial % len(paths)]
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        assert folder.latest() == 10, (trial, path)
        path.write_bytes(whole)


def test_a_thousand_flipped_bytes_are_all_noticed(tmp_path, caplog):
    folder = CheckpointFolder(tmp_path)
    for iteration in (10, 20):
        folder.save(iteration, *contents(iteration), safetensors=True)
    flip_and_look(folder, 1000)
    assert caplog.text.count("checkpoint 20 is damaged and passed over") == 1000
    assert folder.latest() == 20


def files(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("limit", [100, 5_000, 300_000])
def test_a_file_that_may_not_grow_is_an_error_with_path_and_bytes(tmp_path, limit):
    """As RLIMIT_FSIZE or a quota does it: at the first byte, in the middle, near the end of a part of 400 KB."""
    folder = CheckpointFolder(tmp_path / "run")
    folder.save(10, *contents(10, 100_000))
    before = files(tmp_path)
    said = tmp_path.parent / f"said_{limit}"

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            folder.save(20, *contents(20, 100_000))
        except CheckpointError as error:
            os.write(2, str(error).encode())
            return 5
        return 0

    with open(said, "wb") as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            code = code_of_child(lambda: (resource.setrlimit(resource.RLIMIT_CORE, (0, 0)), work())[1])
        finally:
            os.dup2(saved, 2)
            os.close(saved)
    assert code == 5, said.read_text()
    message = said.read_text()
    assert (
        "net_g_20.pth: the checkpoint cannot be written: File too large" in message or limit == 100
    )  # which cuts the message off too
    assert files(tmp_path) == before
    is_whole(folder, (10,), 100_000)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("look_first", [True, False])
def test_a_full_disk_is_an_error_and_the_older_checkpoint_stays(small_disk, monkeypatch, look_first):
    folder = CheckpointFolder(small_disk / "run")
    folder.save(10, *contents(10, 100_000))
    before = files(small_disk)
    if not look_first:  # the space may go while the parts are being written
        monkeypatch.setattr(CheckpointFolder, "_check_space", lambda self, parts: None)
    needed = r"needs 1,200,000 bytes and \d+,\d+ are free" if look_first else r"needs 400,000 bytes and .* are free"
    with pytest.raises(CheckpointError, match=rf"disk/run.*{needed}"):
        folder.save(20, *contents(20, 100_000))
    assert files(small_disk) == before
    is_whole(folder, (10,), 100_000)


def fill(place):
    handle = os.open(place / "filler", os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while True:
            os.write(handle, bytes(4096))
    os.close(handle)


def test_a_run_does_not_begin_on_a_disk_without_room_for_a_line(small_disk):
    Lock.take(small_disk / "run").release()
    fill(small_disk)
    with pytest.raises(CheckpointError, match=r"run\.lock: cannot be written: No space left on device; make room"):
        Lock.take(small_disk / "run")
    (small_disk / "filler").unlink()
    Lock.take(small_disk / "run").release()  # nothing holds it


def test_a_disk_that_becomes_read_only_is_an_error(small_disk, monkeypatch):
    folder = CheckpointFolder(small_disk / "run")
    folder.save(10, *contents(10))
    before = files(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(
        CheckpointError, match=r"net_g_20\.pth: the checkpoint cannot be written: Read-only file system"
    ):
        folder.save(20, *contents(20))
    assert files(small_disk) == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody who may not write")
def test_a_read_only_folder_is_an_error():
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        place.chmod(0o755)
        folder = CheckpointFolder(place / "run")
        folder.save(10, *contents(10))

        def work():
            os.setegid(65534)
            os.seteuid(65534)
            try:
                folder.save(20, *contents(20))
            except CheckpointError as error:
                return 5 if "Permission denied" in str(error) and "net_g_20.pth" in str(error) else 6
            return 0

        assert code_of_child(work) == 5
        is_whole(folder, (10,))
    finally:
        shutil.rmtree(place)


def test_a_folder_that_vanishes_is_an_error(tmp_path, monkeypatch):
    folder = CheckpointFolder(tmp_path / "run")
    folder.save(10, *contents(10))
    monkeypatch.setattr(CheckpointFolder, "_check_space", lambda self, parts: shutil.rmtree(tmp_path / "run"))
    with pytest.raises(CheckpointError, match=r"net_g_20\.pth: .*No such file or directory"):
        folder.save(20, *contents(20))


def test_parts_that_say_another_iteration_are_refused_whatever_the_manifest_says(tmp_path):
    """G of one step and D of another, sealed again by hand."""
    folder = CheckpointFolder(tmp_path)
    for iteration in (10, 20):
        folder.save(iteration, *contents(iteration))
    manifest = folder.states / "20.json"
    old = manifest.read_text()
    parts = {n: CheckpointFolder(tmp_path).states.parent / f"models/net_d_{n}.pth" for n in (10, 20)}
    shutil.copy(parts[10], parts[20])
    sealed = json.loads(old)
    sealed["parts"]["models/net_d_20.pth"] = {"bytes": parts[20].stat().st_size, "sha256": digest(parts[20])}
    manifest.write_text(json.dumps(sealed, indent=2))
    with pytest.raises(CheckpointError, match="is of iteration 10; checkpoints cannot be mixed"):
        folder.load(20)
