"""The page of a run."""

import json
import logging
import os
import re
import signal
from html.parser import HTMLParser

import pytest
import yaml

from dmdnet.cli.main import main
from dmdnet.config import load_options
from dmdnet.engine import history, run_report
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.distributed import World
from dmdnet.engine.history import SCALARS, ScalarHistory, append_return, append_validation, read_scalars
from dmdnet.engine.pictures import read_samples
from dmdnet.engine.run_list import summarise_run
from dmdnet.engine.run_report import reported, write_run_report
from dmdnet.engine.trackers.base import RunInfo
from dmdnet.engine.train import train
from dmdnet.errors import DataError
from dmdnet.models.dmdnet_model import DMDNetModel


class Reader(HTMLParser):
    """Collects the sections, the charts' titles and the tags that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.charts, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "link", "img", "input", "br"):
            self.open.append(tag)
        if tag == "svg":
            self.charts.append(dict(attributes).get("aria-label"))

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


@pytest.fixture
def judged(option_file):
    """Load the options of a tiny run with a validation after each step."""
    path = option_file(
        gan_start=1,
        val={"val_freq": 1, "save_img": False, "metrics": {"psnr": {"type": "PSNR"}}, "modes": ["input", "generic"]},
        logger={"print_freq": 1, "grad_norm_freq": 2},
    )
    content = yaml.safe_load(path.read_text())
    content["datasets"]["val"] = {**content["datasets"]["train"], "name": "people", "allow_split_overlap": True}
    path.write_text(yaml.safe_dump(content))
    return load_options(path)


def folder_of(options):
    return CheckpointFolder(f"{options.path.experiments_root}/{options.name}").root


def test_a_run_leaves_its_page_when_it_is_stopped_and_when_it_ends(judged, monkeypatch, capsys):
    folder = folder_of(judged)
    step = DMDNetModel.step

    def stopped(self, batch, iteration):
        if iteration == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(DMDNetModel, "step", stopped)
        with pytest.raises(SystemExit):
            train(judged)
    text = (folder / "report.html").read_text()
    assert "stopped at iteration 3 of 4" in text
    assert summarise_run(folder).state == "stopped"
    (folder / "skipped_pictures.txt").write_text("a<b>.png: <script>\n")
    train(judged)
    text = (folder / "report.html").read_text()
    page = Reader(text)
    assert "finished at iteration 4 of 4" in text
    for heading in ("The run", "Validation", "Samples", "Losses", "Learning rates", "Gradient norms", "Dictionaries",
                    "Masks", "Time", "Checkpoints", "Skipped pictures", "Options", "Environment"):  # fmt: skip
        assert heading in page.headings
    charts = [title.split(" over ")[0] for title in page.charts if title]
    for chart in ("psnr on people", "l_g_l1", "l_d", "learning rate", "whole networks", "usage_entropy", "mean"):
        assert chart in charts
    assert page.open == []
    assert "a&lt;b&gt;.png" in text
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?!data:)", text)  # nothing is loaded
    assert "torch" in text
    assert "dictionary_size: 4" in text
    assert "data:image/webp" in text
    ((samples, iteration),) = read_samples(folder).values()
    assert iteration == 4
    assert samples.columns[:3] == ("degraded", "generic", "target")
    assert list(read_scalars(folder)) == [1, 2, 3, 4]
    (folder / "report.html").unlink()
    assert main(["runs", str(folder.parent), "--report", "tiny"]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert (folder / "report.html").read_text().count("<svg") == text.count("<svg")


def test_a_folder_without_a_run_has_no_page(tmp_path, capsys):
    with pytest.raises(DataError, match="no run here"):
        write_run_report(tmp_path / "none")


def test_an_unfinished_run_of_little_has_a_page(tmp_path):
    (tmp_path / "train_x_20250101_000000.log").write_text("2025 WARNING: something <b>\n")
    (tmp_path / "environment.json").write_text("torn")
    (tmp_path / SCALARS).write_text('{"iteration": 2, "values": {"loss/l_g_a": NaN}}\n{"iteration": 3, "val')
    text = write_run_report(tmp_path).read_text()
    assert "something &lt;b&gt;" in text
    assert "None was saved" in text


def test_what_a_run_went_back_behind_is_not_in_its_curves(tmp_path):
    first = ScalarHistory(RunInfo(tmp_path, 0, None))
    for iteration in (1, 2, 3):
        first.scalars({"loss/a": float(iteration)}, iteration)
    again = ScalarHistory(RunInfo(tmp_path, 1, None))
    again.scalars({"loss/a": 20.0}, 2)
    assert read_scalars(tmp_path) == {1: {"loss/a": 1.0}, 2: {"loss/a": 20.0}}
    ScalarHistory(RunInfo(tmp_path, 0, None))
    assert read_scalars(tmp_path) == {}
    append_validation(tmp_path, 3, {"val_a/generic_psnr": 1.0})
    append_return(tmp_path, 1)


def failing_disk(monkeypatch, path):
    """Let appends to `path` write their first 20 bytes and fail while the returned switch is on."""
    switch = {"full": True}
    usual = history._append

    def append(place, *records):
        if switch["full"] and place == path:
            with open(place, "ab") as file:
                file.write(b"".join(json.dumps(record).encode() + b"\n" for record in records)[:20])
            raise OSError(28, "No space left on device")
        usual(place, *records)

    monkeypatch.setattr(history, "_append", append)
    return switch


def test_numbers_of_a_full_disk_are_written_when_there_is_room_again(tmp_path, monkeypatch, caplog):
    first = ScalarHistory(RunInfo(tmp_path, 0, None))
    for iteration in (1, 2, 3):
        first.scalars({"loss/a": float(iteration)}, iteration)
    disk = failing_disk(monkeypatch, tmp_path / SCALARS)
    with caplog.at_level(logging.INFO, "dmdnet"):
        again = ScalarHistory(RunInfo(tmp_path, 1, None))  # it cannot even say that it goes back
        again.scalars({"loss/a": 20.0}, 2)
        disk["full"] = False
        again.scalars({"loss/a": 40.0}, 4)
        again.scalars({"loss/a": 50.0}, 5)
        again.close()
    values = {iteration: terms["loss/a"] for iteration, terms in read_scalars(tmp_path).items()}
    assert values == {1: 1.0, 2: 20.0, 4: 40.0, 5: 50.0}
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "is written again; 0 reports are lost" in caplog.text


@pytest.mark.parametrize("recovers", [True, False])
def test_numbers_that_a_full_disk_costs_are_counted(tmp_path, monkeypatch, caplog, recovers):
    monkeypatch.setattr(history, "_WAITING", 3)
    disk = failing_disk(monkeypatch, tmp_path / SCALARS)
    with caplog.at_level(logging.INFO, "dmdnet"):
        run = ScalarHistory(RunInfo(tmp_path, 0, None))
        for iteration in range(1, 6):
            run.scalars({"loss/a": 1.0}, iteration)
        disk["full"] = not recovers
        run.close()
    assert list(read_scalars(tmp_path)) == ([3, 4, 5] if recovers else [])
    assert f"{2 if recovers else 5} reports are lost" in caplog.records[-1].getMessage()


def test_a_page_that_cannot_be_made_is_a_warning(tmp_path, caplog, monkeypatch):
    with caplog.at_level(logging.INFO, "dmdnet"), reported(tmp_path, World()):
        pass  # no run here
    assert "report: not written: DataError" in caplog.text
    with pytest.raises(ZeroDivisionError), reported(tmp_path, World()):
        raise ZeroDivisionError
    caplog.clear()
    monkeypatch.setattr(run_report, "_QUICK", 3)
    (tmp_path / SCALARS).write_text("a lot of numbers")
    with caplog.at_level(logging.INFO, "dmdnet"), pytest.raises(SystemExit), reported(tmp_path, World()):
        raise SystemExit(143)
    assert "report: left out" in caplog.text
