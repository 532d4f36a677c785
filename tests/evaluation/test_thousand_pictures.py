"""A thousand pictures with 5% missing, 2% damaged and 3% without a face: the run ends, counts, and survives a kill."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_thousand import DAMAGED, EACH, FACELESS, MISSING, evaluate_thousand, make_thousand, summary_of

from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.reports.report import pictures_csv


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("thousand")
    make_thousand(root)
    return root


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> Evaluation:
    return evaluate_thousand(root, "undisturbed")[0]


def texts(evaluation: Evaluation) -> tuple[str, str, str]:
    """Return everything found, but for the notes: a face that was looked for before is said to have been."""
    pictures = replace(evaluation, pictures=tuple(replace(record, note="") for record in evaluation.pictures))
    return summary_of(evaluation), pictures_csv(pictures), str(sorted(evaluation.set_values.items()))


def names(numbers: list[int]) -> list[str]:
    return sorted(f"{number // EACH:05}/{number % EACH}.png" for number in numbers)


def test_it_ends_and_every_failure_is_counted(undisturbed: Evaluation) -> None:
    assert undisturbed.n_pictures == 1000
    assert Counter(picture.reason for picture in undisturbed.unusable) == {"missing": 50, "unreadable": 20}
    assert [picture.name for picture in undisturbed.unusable] == names([*MISSING, *DAMAGED])
    records = undisturbed.of_method("generic")
    failed = [record for record in records if record.status == "failed"]
    assert len(records) == 930
    assert [record.name for record in failed] == names(FACELESS)
    assert {record.reason for record in failed} == {"no_face"}
    inputs = {record.key: record.values for record in undisturbed.of_method("input")}
    assert all(record.values == inputs[record.key] for record in failed)  # scored as the degraded input
    assert all(record.status == "ok" for record in undisturbed.of_method("input"))


def test_coverage_stands_beside_every_mean(undisturbed: Evaluation) -> None:
    summary = json.loads(summary_of(undisturbed))
    means = {r["method"]: r for r in summary if r["kind"] == "mean" and r["metric"] == "psnr" and not r["group"]}
    generic = means["generic"]
    assert (generic["n"], generic["n_pictures"], generic["n_failed"], generic["n_unusable"]) == (930, 1000, 30, 70)
    assert generic["coverage"] == pytest.approx(0.9)
    assert generic["failures"] == {"no_face": 30}
    assert means["input"]["coverage"] == pytest.approx(0.93)


def test_dropping_what_failed_is_another_mean_and_says_so(root: Path, undisturbed: Evaluation) -> None:
    dropped, asked = evaluate_thousand(root, "undisturbed", None, "benchmark.failed=drop")
    assert asked == 0  # everything is in the journal, whichever way it is counted
    scored = [record.values["psnr"] for record in dropped.of_method("generic") if record.status == "ok"]
    assert dropped.mean("generic", "psnr") == pytest.approx(sum(scored) / 900)
    assert dropped.mean("generic", "psnr") != undisturbed.mean("generic", "psnr")
    assert dropped.failed_as == "drop"


def die_in_the_eighth_batch(done: int) -> None:
    if done == 7:
        os.kill(os.getpid(), signal.SIGKILL)


def killed(root: Path, name: str) -> int:
    """Evaluate in a process that is killed in its eighth batch; return the signal that it died of."""
    # not forked: where this process has computed on several threads, the first computation of a forked one hangs
    spawned = torch.multiprocessing.get_context("spawn")
    child = spawned.Process(target=evaluate_thousand, args=(root, name, die_in_the_eighth_batch), daemon=True)
    child.start()
    child.join(300)
    assert child.exitcode is not None, "the process did not end"
    return -child.exitcode


def test_a_killed_run_goes_on_and_gives_the_same_numbers(root: Path, undisturbed: Evaluation) -> None:
    assert killed(root, "killed") == signal.SIGKILL
    (journal,) = (root / "results/killed/journal/thousand").glob("rank*.jsonl")
    with open(journal, "ab") as file:
        file.write(b'1234abcd {"column":"generic","pic')  # half a line
    again, asked = evaluate_thousand(root, "killed")
    assert texts(again) == texts(undisturbed)
    assert asked < 900 - 7 * 44  # seven batches were not made again


def rank_of_two(rank: int, folder: str, root: str, name: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    evaluation, asked = evaluate_thousand(Path(root), name)
    torch.save((texts(evaluation), asked), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow  # test_evaluation_ranks shows two ranks, the test before shows going on
def test_two_ranks_go_on_after_one_and_give_the_same(root: Path, undisturbed: Evaluation, tmp_path: Path) -> None:
    assert killed(root, "ranks") == signal.SIGKILL
    torch.multiprocessing.spawn(rank_of_two, (str(tmp_path), str(root), "ranks"), nprocs=2)
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert found[0][0] == found[1][0] == texts(undisturbed)
    assert all(0 < asked < 500 for _, asked in found)


class TestWhatCounts:
    """Lines of the journal hold as long as measuring again would give the same, and no longer."""

    def again(self, root: Path, *overrides: str) -> int:
        return evaluate_thousand(root, "undisturbed", None, *overrides)[1]

    def test_nothing_is_made_twice(self, root: Path, undisturbed: Evaluation) -> None:
        found, asked = evaluate_thousand(root, "undisturbed")
        assert asked == 0
        assert texts(found) == texts(undisturbed)

    def test_a_picture_that_was_put_right_is_measured(self, root: Path, undisturbed: Evaluation) -> None:
        path, other = root / "images/00000/7.png", root / "images/00000/2.png"
        broken = path.read_bytes()
        path.write_bytes(other.read_bytes())
        found, asked = evaluate_thousand(root, "undisturbed")
        path.write_bytes(broken)
        assert asked == 45  # its batch, less what is missing or shows no face
        assert len(found.unusable) == 69

    @pytest.mark.parametrize(
        "override", ["manual_seed=3", "datasets.test.batch_size_per_gpu=5", "benchmark.resume=false"]
    )
    def test_other_settings_are_other_numbers(self, root: Path, override: str) -> None:
        few = "datasets.test.identity_range=[0, 4]"  # of another set, so that little has to be done
        self.again(root, few)
        assert self.again(root, few) == 0
        assert self.again(root, few, override) > 0
