"""Bad pictures are named once, over restarts, and too many stop the run."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import pytest
from made_faces import celebref_options, write_celebref

from dmdnet.config.options import DatasetOptions
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.data.skips import SkipLog
from dmdnet.errors import DataError


def test_a_name_counts_once() -> None:
    log = SkipLog(10)
    for _ in range(3):
        log.add(("a/1.png: cut short", "a/1.png: cut short: at byte 7"))
    assert list(log.names) == ["a/1.png"]


@pytest.mark.parametrize(("total", "share", "allowed"), [(1, 0.0, 1), (999, 0.001, 1), (5000, 0.001, 5), (10, 0.5, 5)])
def test_the_budget(total: int, share: float, allowed: int) -> None:
    log = SkipLog(total, share)
    log.add(f"{number}.png: bad" for number in range(allowed))
    with pytest.raises(DataError, match=rf"{allowed + 1} of {total} pictures.*max_bad_share {share:g}.*x y\.png"):
        log.add(["x y.png: bad"])


def test_the_list_is_kept_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "skipped_pictures.txt"
    SkipLog(10_000, path=path).add(["ö 1.png: two\nlines", "b.png: bad"])
    assert path.read_text(encoding="utf-8") == "ö 1.png: two lines\nb.png: bad\n"
    again = SkipLog(10_000, path=path)
    again.add(["b.png: bad again", "c.png: bad"])
    assert list(again.names) == ["ö 1.png", "b.png", "c.png"]
    assert path.read_text(encoding="utf-8").splitlines()[2:] == ["c.png: bad"]


def test_names_that_are_no_text_are_listed_once(tmp_path: Path) -> None:
    path = tmp_path / "skipped_pictures.txt"
    for _ in range(2):
        SkipLog(100, path=path).add(["caf\udce9.png: bad"])
    assert path.read_text(encoding="utf-8") == "caf\\udce9.png: bad\n"


def test_too_many_names_the_list_and_a_restart_fails_at_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "skipped_pictures.txt"
    with pytest.raises(DataError, match=r"skipped_pictures\.txt"):
        SkipLog(10, path=path).add(["a.png: bad", "b.png: bad"])
    again = SkipLog(10, path=path)
    again.add(["a.png: bad"])  # known: says nothing new
    with pytest.raises(DataError, match="3 of 10"):
        again.add(["c.png: bad"])
    SkipLog(10, 0.3, path).add(["c.png: bad"])  # the limit was raised


def test_half_a_line_of_a_killed_run_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "skipped_pictures.txt"
    path.write_text("a.png: ba")
    SkipLog(100, 0.5, path).add(["b.png: bad"])
    assert path.read_text().splitlines() == ["a.png: ba", "b.png: bad"]


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"list\.txt: cannot be read.*delete it"):
        SkipLog(10, path=tmp_path / "list.txt")
    with pytest.raises(DataError, match=r"cannot be written"):
        SkipLog(10, path=tmp_path / "missing" / "list.txt").add(["a: bad"])


class TestInTraining:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = write_celebref(tmp_path, {"00001": 6, "00002": 6}, size=64)
        os.truncate(root / "00001" / "3.png", 200)
        (root / "00002" / "1.png").write_bytes(b"")
        return root

    def options(self, root: Path, **changes: object) -> DatasetOptions:
        return celebref_options(root, batch=4, num_references=(0, 2), bad_pictures="skip", **changes)

    @pytest.mark.parametrize("workers", [0, 1])
    def test_the_loader_hands_over_what_was_skipped(self, root: Path, tmp_path: Path, workers: int) -> None:
        opt = self.options(root, workers=workers)
        log = SkipLog(12, 0.5, tmp_path / "skipped.txt")
        loader = build_loader(build_dataset(opt, seed=1, phase="train"), opt, phase="train", skip_log=log)
        names = {name for batch in islice(loader, 6) for name in batch.names}
        bad = {"00001/3.png", "00002/1.png"}
        assert set(log.names) == bad
        assert not names & bad
        assert all("images/0000" in line for line in (tmp_path / "skipped.txt").read_text().splitlines())

    def test_too_many_stop_the_run(self, root: Path) -> None:
        opt = self.options(root)
        dataset = build_dataset(opt, seed=1, phase="train")
        loader = build_loader(dataset, opt, phase="train", skip_log=SkipLog(len(dataset), dataset.max_bad_share))
        with pytest.raises(DataError, match="2 of 12 pictures cannot be used, 1 may"):
            list(islice(loader, 6))

    def test_skipping_repeats_exactly_from_any_draw(self, root: Path) -> None:
        opt = self.options(root)

        def names(start: int) -> list[tuple[str, ...]]:
            dataset = build_dataset(opt, seed=1, phase="train")
            loader = build_loader(dataset, opt, phase="train", start_draw=start)
            return [batch.names + batch.skipped for batch in islice(loader, 3)]

        assert names(4)[:2] == names(0)[1:]
