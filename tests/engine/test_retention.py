"""Which checkpoints stay, and that none goes before another is whole."""

import logging

import pytest
import torch
import yaml
from pydantic import ValidationError

from dmdnet.archs.loading import load_network, read_weights
from dmdnet.config import load_options
from dmdnet.config.options import LoggerOptions
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.history import append_return, append_validation, read_validations
from dmdnet.engine.retention import Best, doomed
from dmdnet.engine.saving import Saver
from dmdnet.engine.train import train
from dmdnet.engine.validation import Validation
from dmdnet.errors import ConfigError


def test_the_newest_and_the_best_stay():
    sealed = [10, 20, 30, 40, 50]
    assert doomed(sealed, 50, None) == []
    assert doomed(sealed, 50, 2) == [10, 20, 30]
    assert doomed(sealed, 50, 2, best=(20,)) == [10, 30]
    assert doomed(sealed, 50, 9) == []
    assert doomed(sealed, 30, 2) == [10]  # after going back: 40 and 50 are not of this run's past


def test_fewer_than_two_is_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        LoggerOptions(keep_last=1)


@pytest.mark.parametrize(("higher", "first"), [(True, [(3.0, 20), (2.0, 30)]), (False, [(1.0, 10), (2.0, 30)])])
def test_best_values_are_ranked_and_survive(higher, first):
    best = Best("set/specific_psnr", higher, count=2)
    for iteration, value in ((10, 1.0), (20, 3.0), (30, 2.0)):
        best.update({"val_set/specific_psnr": value}, iteration)
    assert best.entries == first
    assert not best.update({"val_set/specific_psnr": first[-1][0]}, 40)  # equal is no better
    again = Best("set/specific_psnr", higher, count=2)
    again.load_state_dict(best.state_dict())
    assert again.entries == first
    other = Best("set/generic_psnr", higher)
    other.load_state_dict(best.state_dict())
    assert other.entries == []


def test_a_validation_without_the_value_is_told(caplog):
    assert not Best("set/specific_psnr", True).update({}, 10)
    assert "gave no set/specific_psnr" in caplog.text
    caplog.clear()
    best = Best("set/specific_psnr", True)
    assert not best.update({"val_set/specific_psnr": float("nan")}, 10)  # neither more nor less than anything
    assert best.update({"val_set/specific_psnr": 1.0}, 20)
    assert "gave no set/specific_psnr" in caplog.text


def test_a_damaged_checkpoint_does_not_count_among_those_that_stay(tmp_path):
    def save(folder, iteration):
        part = {"params": {"w": torch.full((3,), float(iteration))}, "network": {"type": "X"}}
        with Saver(folder, LoggerOptions(keep_last=2)) as saver:
            saver.save(iteration, {"net_g": part}, {"draws": iteration})

    for iteration in (10, 20):
        save(CheckpointFolder(tmp_path), iteration)
    (tmp_path / "models" / "net_g_20.pth").write_bytes(b"")
    folder = CheckpointFolder(tmp_path)
    assert folder.latest() == 10
    save(folder, 25)  # another interval than before, so that 20 is not written again
    (tmp_path / "models" / "net_g_25.pth").write_bytes(b"")
    assert CheckpointFolder(tmp_path).latest() == 10
    save(folder, 20)
    save(folder, 30)
    assert folder.iterations() == [30, 25]


@pytest.fixture
def judged(option_file):
    """Write a run that is validated every iteration and saved every second."""

    def write(name, total=5, **logger):
        path = option_file(name, val={"val_freq": 1, "metrics": {"psnr": {"type": "PSNR"}}, "modes": ["generic"]})
        content = yaml.safe_load(path.read_text())
        content["train"]["total_iter"] = total
        content["datasets"]["val"] = {**content["datasets"]["train"], "name": "people", "allow_split_overlap": True}
        content["val"]["save_img"] = False
        content["logger"] |= logger
        path.write_text(yaml.safe_dump(content))
        return load_options(path)

    return write


def values_given(monkeypatch, values):
    """Let validation find these values, by iteration; return the iterations that it was asked for."""
    asked = []

    def run(self, model, iteration):
        asked.append(iteration)
        return {"val_people/generic_psnr": values[iteration]}

    monkeypatch.setattr(Validation, "run", run)
    return asked


def run_of(options):
    return CheckpointFolder(f"{options.path.experiments_root}/{options.name}")


BEST = {"metric": "people/generic_psnr"}


def test_a_run_keeps_its_last_two_and_the_best_which_may_be_between_two_saves(judged, monkeypatch, caplog):
    options = judged("kept", 6, keep_last=2, keep_best=BEST)
    values_given(monkeypatch, {1: 1.0, 2: 2.0, 3: 9.0, 4: 4.0, 5: 5.0, 6: 6.0})
    with caplog.at_level(logging.INFO, "dmdnet"):
        train(options)
    run = run_of(options)
    assert run.iterations() == [6, 4, 3]
    assert sorted(path.name for path in run.models.glob("net_g_[0-9]*")) == [f"net_g_{n}.pth" for n in (3, 4, 6)]
    assert sorted(path.name for path in run.states.iterdir()) == sorted(
        f"{n}.{kind}" for n in (3, 4, 6) for kind in ("json", "state")
    )
    assert "iteration 3 is among the best by people/generic_psnr" in caplog.text
    assert run.load(6)[1]["best"] == {"metric": "people/generic_psnr", "entries": [[9.0, 3]]}
    assert read_validations(run.root)[3] == {"val_people/generic_psnr": 9.0}


def test_a_run_killed_in_validation_validates_first_and_knows_its_best_again(judged, monkeypatch):
    options = judged("killed", 4, keep_last=2, keep_best=BEST)
    values = {1: 1.0, 2: 7.0, 3: 3.0, 4: 4.0}
    values_given(monkeypatch, values)
    with monkeypatch.context() as patch:
        patch.setattr(
            Validation, "run", lambda self, model, i: {"val_people/generic_psnr": values[i] if i < 2 else {}[i]}
        )
        with pytest.raises(KeyError):
            train(options)  # dies after the save of iteration 2, in its validation
    assert run_of(options).latest() == 2
    asked = values_given(monkeypatch, values)
    train(options)
    assert asked == [2, 3, 4]
    assert run_of(options).load(4)[1]["best"]["entries"] == [[7.0, 2]]


def test_a_validation_that_was_finished_is_not_done_again(judged, monkeypatch):
    options = judged("known", 2, keep_best=BEST)
    asked = values_given(monkeypatch, {1: 1.0, 2: 7.0, 3: 3.0})
    train(options)
    train(options)  # finished
    assert asked == [1, 2]
    longer = judged("known", 3, keep_best=BEST)
    train(longer)
    assert asked == [1, 2, 3]
    assert run_of(longer).load(3)[1]["best"]["entries"] == [[7.0, 2]]


def test_a_metric_that_validation_does_not_give_is_refused(judged):
    with pytest.raises(
        ConfigError, match=r"keep_best.metric: 'people/generic_pnsr'.*did you mean 'people/generic_psnr'"
    ):
        train(judged("wrong", keep_best={"metric": "people/generic_pnsr"}))


def test_what_a_run_went_back_behind_is_forgotten(tmp_path):
    append_return(tmp_path, 0)
    assert not (tmp_path / "validation.jsonl").exists()  # a new run has nothing to take back
    for iteration in (2, 4, 6):
        append_validation(tmp_path, iteration, {"a": float(iteration)})
    append_return(tmp_path, 6)
    append_return(tmp_path, 2)
    assert read_validations(tmp_path) == {2: {"a": 2.0}}
    append_validation(tmp_path, 4, {"a": 40.0})
    assert read_validations(tmp_path) == {2: {"a": 2.0}, 4: {"a": 40.0}}


def test_a_torn_line_of_the_history_is_left_out(tmp_path, caplog):
    append_validation(tmp_path, 1, {"a": 1.0})
    append_validation(tmp_path, 1, {"a": 2.0})
    with open(tmp_path / "validation.jsonl", "a") as file:
        file.write('{"iteration": 2, "val')
    assert read_validations(tmp_path) == {1: {"a": 2.0}}
    append_validation(tmp_path, 3, {"a": 3.0})
    assert read_validations(tmp_path) == {1: {"a": 2.0}, 3: {"a": 3.0}}
    append_validation(tmp_path / "none", 1, {})
    assert "cannot be written" in caplog.text


def test_a_purge_that_was_cut_off_is_finished(tmp_path):
    run = CheckpointFolder(tmp_path)
    for iteration in (1, 2):
        run.save(iteration, {"net_g": {"params": {"w": torch.zeros(1)}, "network": {}}}, {})
    (run.states / "1.json").rename(run.states / "1.purge")
    (run.models / ".net_g_3.pth.0123.tmp").write_bytes(b"half")
    run.clean()
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["2.json", "2.state", "net_g_2.pth"]


def test_purging_removes_nothing_outside(tmp_path):
    run = CheckpointFolder(tmp_path / "run")
    run.states.mkdir(parents=True)
    (tmp_path / "mine").write_text("")
    (run.states / "1.purge").write_text(
        '{"format": 1, "iteration": 1, "parts": {"models/../../mine": {"bytes": 0, "sha256": ""}}}'
    )
    run.clean()
    assert (tmp_path / "mine").exists()


def test_safetensors_hold_the_average_and_load_everywhere(tiny):
    options = tiny(logger={"save_safetensors": True})
    train(options)
    run = run_of(options)
    path = run.models / "net_g_4.safetensors"
    both = load_network(path).state_dict(), load_network(run.models / "net_g_4.pth").state_dict()
    assert both[0].keys() == both[1].keys()
    assert all(torch.equal(both[0][key], both[1][key]) for key in both[0])
    plain = read_weights(run.models / "net_g_4.pth")["params"]
    assert any(not torch.equal(both[0][key], plain[key]) for key in plain)
    assert (run.models / "net_g_latest.safetensors").read_bytes() == path.read_bytes()
    path.write_bytes(path.read_bytes()[:-1])
    assert run.latest() == 2  # it is sealed as every other part
