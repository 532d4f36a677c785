"""The tracker for Weights & Biases, with a module in place of the package."""

import json
import sys
import urllib.error

import pytest
import torch

from dmdnet.engine.trackers import weights_and_biases
from dmdnet.engine.trackers.base import RunInfo
from dmdnet.engine.trackers.weights_and_biases import answers, chosen_mode, has_key, run_id
from dmdnet.engine.train import train
from dmdnet.errors import ConfigError

SERVER = "https://api.example.org"
FAKE = """
import json, pathlib
class Settings:
    base_url = "https://api.example.org"
    def __init__(self, **given): pass
class Setup:
    settings = Settings()
def setup(): return Setup()
class Image:
    def __init__(self, data): self.shape = data.shape
class Run:
    def __init__(self, place): self.place = place
    def note(self, line):
        with open(self.place, "a") as file: file.write(json.dumps(line) + "\\n")
    def define_metric(self, name, step_metric=None): self.note(["metric", name, step_metric])
    def log(self, values):
        self.note(["log", {k: list(v.shape) if isinstance(v, Image) else v for k, v in values.items()}])
    def finish(self): self.note(["finish"])
def init(**given):
    if FAILS: raise RuntimeError("no project")
    run = Run(pathlib.Path(given["dir"]) / "fake.jsonl")
    kept = {k: given[k] for k in ("project", "id", "mode", "name", "tags", "resume")}
    run.note(["init", kept, given["config"]["name"]])
    return run
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Put such a package where it can be imported; `fails`: it does not start."""

    def put(fails=False):
        (tmp_path / "packages").mkdir(exist_ok=True)
        (tmp_path / "packages" / "wandb.py").write_text(f"FAILS = {fails}\n{FAKE}")
        monkeypatch.syspath_prepend(str(tmp_path / "packages"))
        monkeypatch.delitem(sys.modules, "wandb", raising=False)
        for name in ("WANDB_MODE", "WANDB_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("NETRC", str(tmp_path / "no netrc"))

    yield put
    sys.modules.pop("wandb", None)


def test_a_run_is_told_and_stays_the_same_one_when_it_goes_on(tiny, tmp_path, package, caplog):
    package()
    logger = {"wandb": {"project": "faces", "tags": ["a"]}, "print_freq": 2, "image_freq": 2}
    train(tiny(logger=logger))
    folder = tmp_path / "experiments" / "tiny"
    told = [json.loads(line) for line in (folder / "fake.jsonl").read_text().splitlines()]
    start, *metrics = told[:3]
    run = (folder / "wandb_id.txt").read_text().strip()
    assert start == [
        "init",
        {"project": "faces", "id": run, "mode": "offline", "name": "tiny", "tags": ["a"], "resume": "allow"},
        "tiny",
    ]
    assert metrics == [["metric", "iteration", None], ["metric", "*", "iteration"]]
    logs = [entry[1] for entry in told if entry[0] == "log"]
    assert [entry["iteration"] for entry in logs] == [2, 2, 4, 4]
    assert logs[0]["loss/l_g_l1_generic"] > 0
    assert logs[1]["train/degraded_restored_target_references"][2] == 3
    assert told[-1] == ["finish"]
    train(tiny(logger=logger, train={"total_iter": 6}))
    assert (folder / "wandb_id.txt").read_text().strip() == run
    assert sum(json.loads(line)[0] == "init" for line in (folder / "fake.jsonl").read_text().splitlines()) == 2
    assert run_id(RunInfo(folder, 0, None)) != run  # begun anew it is another


def test_training_goes_on_where_it_does_not_start(tiny, tmp_path, package, caplog):
    plain, tracked = tiny(name="plain"), tiny(name="tracked", logger={"wandb": {}})
    train(plain)
    package(fails=True)
    train(tracked)
    (warning,) = [record.getMessage() for record in caplog.records if "tracker" in record.getMessage()]
    assert warning == "tracker wandb: RuntimeError: no project; training goes on without it"
    one, other = (
        torch.load(tmp_path / "experiments" / name / "models" / "net_g_4.pth", weights_only=True)["params"]
        for name in ("plain", "tracked")
    )
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_without_the_package_it_is_an_error_with_the_remedy(tiny, monkeypatch):
    monkeypatch.setattr("dmdnet.engine.tracking.importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install wandb, or take the tracker out"):
        train(tiny(logger={"wandb": {}}))


def test_online_only_where_a_key_is_known_and_the_server_answers(monkeypatch, tmp_path):
    key = {"WANDB_API_KEY": "secret"}
    for answer, environment, expected in ((True, key, "online"), (False, key, "offline"), (True, {}, "offline")):
        monkeypatch.setattr(weights_and_biases, "answers", lambda server, answer=answer: answer)
        assert chosen_mode("auto", {"NETRC": str(tmp_path / "none"), **environment}, SERVER) == expected
    assert chosen_mode("online", {}, SERVER) == "online"
    assert chosen_mode("auto", {**key, "WANDB_MODE": "disabled"}, SERVER) == "disabled"
    file = tmp_path / "netrc"
    file.write_text("machine api.example.org login user password secret\n")
    file.chmod(0o600)
    assert has_key(SERVER, {"NETRC": str(file)})
    assert not has_key("https://elsewhere.org", {"NETRC": str(file)})
    file.write_text("nonsense here")
    assert not has_key(SERVER, {"NETRC": str(file)})


def test_a_refusal_is_an_answer(monkeypatch):
    def opened(error):
        def urlopen(request, timeout):
            assert timeout <= 5
            raise error

        monkeypatch.setattr(weights_and_biases.urllib.request, "urlopen", urlopen)

    opened(urllib.error.HTTPError(SERVER, 404, "", {}, None))
    assert answers(SERVER)
    opened(urllib.error.URLError("no route"))
    assert not answers(SERVER)
    opened(TimeoutError())
    assert not answers(SERVER)
    assert not answers("file:///etc/passwd")
