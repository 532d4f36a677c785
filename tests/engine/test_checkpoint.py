"""Checkpoints: sealed, verified, never lost to a failed save."""

import errno
import json
import os
import pickle
import shutil
import stat

import numpy as np
import pytest
import torch

from dmdnet.engine import durable
from dmdnet.engine.checkpoint import CheckpointFolder, checkpoint_of_state
from dmdnet.engine.durable import digest
from dmdnet.errors import CheckpointError


def contents(iteration):
    network = {"type": "DMDNet", "image_size": 64}
    weights = {
        "net_g": {"params": {"w": torch.full((4, 3), float(iteration))}, "network": network},
        "net_d": {"params": {"w": torch.full((2,), float(iteration))}, "network": network},
    }
    return weights, {"draws": 8 * iteration, "options": {"name": "x"}, "model": {"optim_g": {"lr": 0.1}}}


@pytest.fixture
def folder(tmp_path):
    """A run with checkpoints 10 and 20."""
    run = CheckpointFolder(tmp_path / "run")
    for iteration in (10, 20):
        run.save(iteration, *contents(iteration))
    return run


def files(folder):
    return {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}


def test_what_is_saved_comes_back(folder):
    assert folder.latest() == 20
    weights, state = folder.load(20)
    assert set(weights) == {"net_g", "net_d"}
    assert torch.equal(weights["net_g"]["params"]["w"], torch.full((4, 3), 20.0))
    assert weights["net_g"]["network"] == {"type": "DMDNet", "image_size": 64}
    assert weights["net_d"]["iteration"] == state["iteration"] == 20
    assert state["draws"] == 160


def test_the_files_have_the_names_people_expect(folder):
    names = {path.relative_to(folder.root).as_posix() for path in files(folder)}
    assert names == {
        f"{part}" for n in (10, 20) for part in (
            f"models/net_g_{n}.pth", f"models/net_d_{n}.pth", f"training_states/{n}.state", f"training_states/{n}.json",
        )
    }  # fmt: skip
    folder.publish_latest(20)
    assert (folder.models / "net_g_latest.pth").read_bytes() == (folder.models / "net_g_20.pth").read_bytes()
    assert (folder.models / "net_d_latest.pth").is_file()


def test_an_empty_run_has_no_checkpoint(tmp_path):
    assert CheckpointFolder(tmp_path / "none").latest() is None


def test_every_flipped_byte_is_noticed(folder, caplog):
    rng = np.random.Generator(np.random.Philox(0))
    paths = [folder.models / "net_g_20.pth", folder.models / "net_d_20.pth", folder.states / "20.state"]
    for trial in range(60):
        path = paths[trial % 3]
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        assert folder.latest() == 10
        path.write_bytes(whole)
    assert folder.latest() == 20
    assert "does not match its sha256" in caplog.text


@pytest.mark.parametrize("part", ["models/net_g_20.pth", "training_states/20.state"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes instead of"),
        (lambda path: path.write_bytes(b""), "has 0 bytes"),
        (lambda path: path.unlink(), "is missing"),
    ],
)
def test_a_damaged_part_falls_back_with_a_warning(folder, caplog, part, damage, message):
    damage(folder.root / part)
    assert folder.latest() == 10
    assert message in caplog.text
    with pytest.raises(CheckpointError, match=message):
        folder.load(20)


@pytest.mark.parametrize(
    "manifest",
    [b"", b"not json", b"[]", b'{"format": 1}', b'{"format": 1, "iteration": 20, "parts": 3}'],
)
def test_a_damaged_manifest_falls_back(folder, manifest):
    (folder.states / "20.json").write_bytes(manifest)
    assert folder.latest() == 10


def test_parts_of_different_checkpoints_do_not_mix(folder):
    shutil.copy(folder.models / "net_d_10.pth", folder.models / "net_d_20.pth")
    assert folder.latest() == 10


def test_another_format_is_not_guessed_at(folder):
    path = folder.states / "20.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(CheckpointError, match="format 2"):
        folder.load(20)


def test_no_whole_checkpoint_is_an_error_not_a_fresh_start(folder):
    for iteration in (10, 20):
        (folder.states / f"{iteration}.state").unlink()
    with pytest.raises(CheckpointError, match="none of the 2 checkpoints is whole"):
        folder.latest()


class Crash(BaseException):
    """Nothing in the code may catch it: it stands for the end of the process."""


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_crash_at_any_system_call_leaves_the_older_checkpoint(folder, monkeypatch, call):
    """Crash at the first, second, ... use of a call while checkpoint 30 is written, until it is written."""
    target = (durable, "open") if call == "open" else (os, call)
    original = getattr(*target) if call != "open" else open
    for crash_at in range(1, 20):
        count = iter(range(1, 100))

        def crashing(*args, _count=count, _at=crash_at, **kwargs):
            if next(_count) == _at:
                raise Crash
            return original(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(*target, crashing, raising=False)
            try:
                folder.save(30, *contents(30))
            except Crash:
                crashed = True
            else:
                crashed = False
        latest = folder.latest()
        assert latest in (20, 30)
        assert folder.load(latest)[1]["iteration"] == latest
        if not crashed:
            assert latest == 30
            assert crash_at > 4
            return
        (folder.states / "30.json").unlink(missing_ok=True)
    pytest.fail("the save never completed")


def test_a_failing_disk_is_an_error_and_leaves_no_trace(folder, monkeypatch):
    before = files(folder)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"net_g_30\.pth: .*No space left on device.*untouched"):
        folder.save(30, *contents(30))
    monkeypatch.undo()
    assert files(folder) == before


def test_a_file_system_that_cannot_flush_folders_is_no_reason_not_to_save(folder, monkeypatch):
    flush = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    folder.save(30, *contents(30.0))
    assert folder.latest() == 30


def test_too_little_space_is_said_before_anything_is_written(folder, monkeypatch):
    before = files(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(CheckpointError, match=r"needs 56 bytes and 1 are free"):
        folder.save(30, *contents(30))
    assert files(folder) == before


def test_a_place_that_is_no_folder_is_an_error(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(CheckpointError, match="no checkpoint can be written"):
        CheckpointFolder(tmp_path / "run").save(1, *contents(1))


class Canary:
    """Runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_crafted_checkpoint_executes_nothing(folder, tmp_path):
    state = folder.states / "20.state"
    crafted = [lambda: torch.save({"x": Canary(tmp_path / "ran")}, state),
               lambda: state.write_bytes(pickle.dumps(Canary(tmp_path / "ran")))]  # fmt: skip
    for craft in crafted:
        craft()
        sealed = json.loads((folder.states / "20.json").read_text())
        sealed["parts"]["training_states/20.state"] = {
            "bytes": state.stat().st_size,
            "sha256": digest(state),
        }
        (folder.states / "20.json").write_text(json.dumps(sealed, indent=2))
        with pytest.raises(CheckpointError, match="not a readable checkpoint"):
            folder.load(20)
        assert not (tmp_path / "ran").exists()


def test_resume_state_names_a_checkpoint(folder, tmp_path):
    found, iteration = checkpoint_of_state(folder.states / "10.state")
    assert (found.root, iteration) == (folder.root, 10)
    for wrong in ("training_states/30.state", "models/net_g_10.pth", "training_states/latest.state"):
        with pytest.raises(CheckpointError, match=r"path\.resume_state"):
            checkpoint_of_state(folder.root / wrong)
