from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from fake_faces import NAME, ColourBackend, FragileFinder, everything, write_person

from dmdnet.cli.main import main
from dmdnet.data.manifest import read_manifest
from dmdnet.errors import DataError
from dmdnet.images import write_image
from dmdnet.prepare import TableOptions, prepare
from dmdnet.prepare.finish import FAILED, MANIFEST
from dmdnet.prepare.worker import FaceFinder
from dmdnet.prepare.workspace import Workspace
from dmdnet.registry import FACE_BACKENDS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def undisturbed(people, aligned, tmp_path):
    prepare(people, tmp_path / "undisturbed", faces=aligned, workers=0)
    return everything(tmp_path / "undisturbed")


def in_process(*arguments: object, **options: object) -> int:
    """Start `prepare` in a process of its own and return its number."""
    child = os.fork()
    if child == 0:
        try:
            prepare(*arguments, **options)
        finally:
            os._exit(0)
    return child


def kill_and_go_on(people, aligned, undisturbed, folder, kills: int) -> None:
    """Kill `kills` preparations at random moments; each goes on to the same result."""
    start = time.perf_counter()
    os.waitpid(in_process(people, folder / "whole", faces=aligned, workers=0), 0)
    took = time.perf_counter() - start
    rng = np.random.default_rng(0)
    killed = 0
    for trial in range(5 * kills):
        output = folder / f"trial{trial}"
        child = in_process(people, output, faces=aligned, workers=0)
        time.sleep(rng.uniform(0, took))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        prepare(people, output, faces=aligned, workers=0)
        assert everything(output) == undisturbed
        if killed == kills:
            return
    pytest.fail(f"only {killed} of {5 * kills} preparations were killed in time")


def test_the_same_command_again_changes_nothing(people, aligned, undisturbed, tmp_path):
    journal = tmp_path / "undisturbed" / "work" / "journal" / "1_of_1.jsonl"
    lines = journal.read_bytes()
    prepare(people, tmp_path / "undisturbed", faces=aligned, workers=0)
    assert everything(tmp_path / "undisturbed") == undisturbed
    assert journal.read_bytes() == lines


def test_nothing_is_lost_when_it_is_killed(people, aligned, undisturbed, tmp_path):
    kill_and_go_on(people, aligned, undisturbed, tmp_path, 4)


@pytest.mark.slow
def test_nothing_is_lost_in_a_hundred_kills(people, aligned, undisturbed, tmp_path):
    kill_and_go_on(people, aligned, undisturbed, tmp_path, 100)


@pytest.mark.parametrize("kept", [0, 1, 100, 900, -1, -2])
def test_a_torn_line_is_done_again(kept, people, aligned, undisturbed, tmp_path):
    output = tmp_path / "undisturbed"
    journal = output / "work" / "journal" / "1_of_1.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[: kept if kept >= 0 else len(whole) + kept])
    (output / MANIFEST).unlink()
    prepare(people, output, faces=aligned, workers=0)
    assert everything(output) == undisturbed
    assert sorted(journal.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_lost_picture_is_made_again(people, aligned, undisturbed, tmp_path):
    output = tmp_path / "undisturbed"
    next((output / "work" / "faces").rglob("*.png")).unlink()
    (output / "images" / "Ann" / "stray.png").write_bytes(b"?")
    prepare(people, output, faces=aligned, workers=0)
    assert everything(output) == undisturbed


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_give_the_same(shards, people, aligned, undisturbed, tmp_path):
    output = tmp_path / "shards"
    for number in range(1, shards + 1):
        summary = prepare(people, output, faces=aligned, workers=0, shard=(number, shards))
        assert (summary is None) == (number < shards)
        assert (output / MANIFEST).exists() == (number == shards)
    assert everything(output) == undisturbed


def test_shards_at_the_same_time_give_the_same(people, aligned, undisturbed, tmp_path):
    for trial in range(3):
        output = tmp_path / f"shards{trial}"
        shards = [in_process(people, output, faces=aligned, workers=0, shard=(number, 3)) for number in (1, 2, 3)]
        for child in shards:
            os.waitpid(child, 0)
        assert everything(output) == undisturbed


def test_processes_give_the_same_and_one_that_dies_takes_nothing_along(people, aligned, tmp_path, monkeypatch):
    os.rename(people / "Данил" / "1.png", people / "Данил" / "deadly.png")  # the last one
    expected = prepare(people, tmp_path / "one", faces=aligned, workers=0)
    monkeypatch.setattr("dmdnet.prepare.run.FaceFinder", FragileFinder)
    summary = prepare(people, tmp_path / "two", faces=aligned, workers=2)
    assert [failure.photograph for failure in summary.failures] == ["Данил/deadly.png"]
    assert "died twice (signal SIGKILL)" in summary.failures[0].reason
    assert summary.faces == expected.faces - 1
    monkeypatch.undo()
    monkeypatch.setitem(FACE_BACKENDS._components, NAME, ColourBackend)
    prepare(people, tmp_path / "two", faces=aligned, workers=0)  # tries it once more
    assert everything(tmp_path / "two") == everything(tmp_path / "one")


def test_photographs_may_come_and_go(people, aligned, undisturbed, tmp_path):
    output = tmp_path / "undisturbed"
    write_person(people / "Eve", (120, 20, 120), 2)
    assert prepare(people, output, faces=aligned, workers=0).people == 5
    for path in (people / "Eve").iterdir():
        path.unlink()
    prepare(people, output, faces=aligned, workers=0)
    assert everything(output) == undisturbed
    assert not [path for path in (output / "work" / "faces").rglob("*") if "Eve" in path.name]


def test_a_changed_photograph_is_done_again(people, aligned, tmp_path):
    output = tmp_path / "out"
    prepare(people, output, faces=aligned, workers=0)
    before = {row.source: row.checksum for row in read_manifest(output / MANIFEST)}
    write_image(people / "Ann" / "1.png", np.full((64, 64, 3), (190, 60, 60), np.uint8))
    prepare(people, output, faces=aligned, workers=0)
    after = {row.source: row.checksum for row in read_manifest(output / MANIFEST)}
    assert {name for name in after if after[name] != before[name]} == {"Ann/1.png"}


def test_other_options_are_refused_with_their_difference(people, aligned, undisturbed, tmp_path):
    with pytest.raises(DataError, match=r"size was 64, now it is 128\. Go on with those"):
        prepare(people, tmp_path / "undisturbed", faces=replace(aligned, size=128), workers=0)
    assert everything(tmp_path / "undisturbed") == undisturbed


def test_the_table_can_be_made_anew_with_other_splits(people, aligned, undisturbed, tmp_path):
    output = tmp_path / "undisturbed"
    journal = (output / "work" / "journal" / "1_of_1.jsonl").read_bytes()
    summary = prepare(people, output, faces=aligned, table=TableOptions(val_share=0, test_share=0), workers=0)
    assert summary.splits == {"train": 4}
    assert (output / "work" / "journal" / "1_of_1.jsonl").read_bytes() == journal


def test_an_output_of_other_photographs_is_refused(people, aligned, undisturbed, tmp_path):
    write_person(tmp_path / "others" / "Zoe", (10, 200, 200), 2)
    with pytest.raises(DataError, match="made from other photographs"):
        prepare(tmp_path / "others", tmp_path / "undisturbed", faces=aligned, workers=0)


def test_two_processes_on_one_shard_are_refused(people, aligned, tmp_path):
    from dmdnet.prepare.journal import open_journal

    workspace = Workspace(tmp_path / "out")
    workspace.begin(aligned.as_json())
    with open_journal(workspace, 0, 1), pytest.raises(DataError, match="another process prepares shard 1/1"):
        prepare(people, tmp_path / "out", faces=aligned, workers=0)


def test_a_full_disk_is_one_clear_error_and_the_journal_stays_whole(people, aligned, undisturbed, tmp_path):
    output = tmp_path / "full"
    journal = tmp_path / "undisturbed" / "work" / "journal" / "1_of_1.jsonl"
    room = int(journal.stat().st_size * 0.6)

    def limited(queue):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        try:
            prepare(people, output, faces=aligned, workers=0)
        except DataError as error:
            queue.put(str(error))

    context = get_context("fork")
    queue = context.Queue()
    process = context.Process(target=limited, args=(queue,))
    process.start()
    message = queue.get(timeout=20)
    process.join()
    assert "1_of_1.jsonl: cannot be written: File too large; what is done stays done: make room" in message
    written = (output / "work" / "journal" / "1_of_1.jsonl").read_bytes()
    assert written.endswith(b"\n")
    assert 0 < len(written) <= room
    prepare(people, output, faces=aligned, workers=0)
    assert everything(output) == undisturbed


def test_the_table_of_what_is_done_can_be_made_early(people, aligned, tmp_path):
    output = tmp_path / "out"
    assert prepare(people, output, faces=aligned, workers=0, shard=(1, 2)) is None
    summary = prepare(people, output, faces=aligned, workers=0, only_finish=True)
    waiting = [failure for failure in summary.failures if failure.reason == "is not done yet"]
    assert summary.faces + len(waiting) == 16
    assert summary.faces > 0
    assert waiting
    assert "is not done yet" in (output / FAILED).read_text()


def test_an_interrupt_leaves_a_state_to_go_on_from(people, aligned, undisturbed, tmp_path, monkeypatch, capsys):
    output = tmp_path / "stopped"

    class Interrupted(FaceFinder):
        def __call__(self, photograph):
            if photograph.name == "Cléo/2.png":
                raise KeyboardInterrupt
            return super().__call__(photograph)

    monkeypatch.setattr("dmdnet.prepare.run.FaceFinder", Interrupted)
    arguments = ["prepare", str(people), str(output), "--aligned", "--size", "64", "--min-face", "0", "--workers", "0"]
    assert main([*arguments, "--face-backend", NAME]) == 130
    assert "the same command goes on where it was" in capsys.readouterr().err
    monkeypatch.setattr("dmdnet.prepare.run.FaceFinder", FaceFinder)
    assert main([*arguments, "--face-backend", NAME]) == 0
    assert everything(output) == undisturbed


def group_lives(group: int) -> bool:
    """Return whether a process of the group does anything; those that ended and wait for their parent do not count."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return True
    return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's list of processes")
@pytest.mark.parametrize("seconds", [0.5, 2.5, 4, 6])
def test_ctrl_c_ends_all_processes_with_one_line(seconds, drawn, tmp_path):
    """A terminal sends it to every process of the group."""
    command = [sys.executable, "-m", "dmdnet", "prepare", str(drawn.folder), str(tmp_path / "out"), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    if process.returncode != 0 and "stopped" in said:  # not before Python or after the work
        assert process.returncode == 130
        assert "Traceback" not in said
        assert said.splitlines()[-1] == "stopped; nothing is lost: the same command goes on where it was"
    end = time.monotonic() + 10
    while group_lives(process.pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert not group_lives(process.pid)
