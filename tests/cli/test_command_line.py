"""The command line by itself: what it understands, how it ends. What the commands do is tested in their own rooms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from dmdnet.cli import main as main_module
from dmdnet.cli import reporting, restore, test, train
from dmdnet.errors import DataError, NonFiniteLossError

ROOT = Path(__file__).parents[2]
RECIPE = """\
name: cli
model_type: DMDNetModel
network_g: {type: DMDNet, image_size: 128, base_channels: 8, dictionary_size: 4}
datasets:
  train:
    name: faces
    type: ReferenceFaceDataset
    layout: {type: CelebRefHQLayout, dataroot_gt: nowhere}
    image_size: 128
train:
  total_iter: 10
  optim_g: {type: Adam}
  losses: [{type: L1Loss}]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, dict[str, Any]]]:
    """Replace what the commands call, and return what they were called with."""
    made: list[tuple[str, Any, dict[str, Any]]] = []

    def replace(module: str, function: str) -> None:
        stand_in = types.ModuleType(module)
        setattr(stand_in, function, lambda *args, **keywords: made.append((function, args, keywords)))
        monkeypatch.setitem(sys.modules, module, stand_in)

    replace("dmdnet.engine.train", "train")
    replace("dmdnet.engine.dry_run", "dry_run")
    replace("dmdnet.engine.benchmark_dry_run", "dry_run_benchmark")
    replace("dmdnet.evaluation.run", "run_test")
    replace("dmdnet.restore.run", "restore_photograph")
    return made


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


# --- train and test


def test_train_gets_the_options_and_goes_on_by_default(recipe: Path, calls: list[Any]) -> None:
    assert train.main(["-opt", str(recipe)]) == 0
    [(name, (options,), keywords)] = calls
    assert (name, options.name) == ("train", "cli")
    assert keywords == {"auto_resume": True, "launcher": "auto", "restart": False}


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        (["--auto_resume"], {"auto_resume": True, "launcher": "auto", "restart": False}),
        (["--no-auto_resume"], {"auto_resume": False, "launcher": "auto", "restart": False}),
        (["--no-auto-resume", "--launcher", "none"], {"auto_resume": False, "launcher": "none", "restart": False}),
        (
            ["--launcher", "pytorch", "--local_rank", "3"],
            {"auto_resume": True, "launcher": "pytorch", "restart": False},
        ),
        (["--debug"], {"auto_resume": True, "launcher": "auto", "restart": True}),
        (["--launcher", "slurm", "--local-rank=3"], {"auto_resume": True, "launcher": "slurm", "restart": False}),
    ],
)
def test_train_flags(arguments: list[str], keywords: dict[str, Any], recipe: Path, calls: list[Any]) -> None:
    assert train.main(["--opt", str(recipe), *arguments]) == 0
    assert calls[0][2] == keywords


def test_overrides_of_both_spellings_in_the_order_given(recipe: Path, calls: list[Any]) -> None:
    sets = [
        "--set",
        "train.total_iter=3",
        "train.losses.0.loss_weight=2",
        "--force_yml",
        "train:total_iter=4",
        "name=x",
    ]
    assert train.main(["-opt", str(recipe), *sets, "--set", "manual_seed=7"]) == 0
    options = calls[0][1][0]
    assert (options.train.total_iter, options.name, options.manual_seed) == (4, "x", 7)
    assert options.train.losses[0].options["loss_weight"] == 2.0


def test_one_command_line_does_not_leak_into_the_next(recipe: Path, calls: list[Any]) -> None:
    train.main(["-opt", str(recipe), "--set", "name=x"])
    train.main(["-opt", str(recipe)])
    assert [call[1][0].name for call in calls] == ["x", "cli"]


def test_debug_and_dry_run(recipe: Path, calls: list[Any]) -> None:
    assert train.main(["-opt", str(recipe), "--debug", "--dry-run"]) == 0
    [(name, (options,), _)] = calls
    assert (name, options.name, options.logger.print_freq) == ("dry_run", "debug_cli", 1)


def test_test_gets_the_options(recipe: Path, calls: list[Any]) -> None:
    assert test.main(["-opt", str(recipe), "--set", "name=t", "device=cpu"]) == 0
    assert calls[0][0] == "run_test"
    assert calls[0][1][0].name == "t"
    assert calls[0][2] == {"device": torch.device("cpu")}
    assert test.main(["-opt", str(recipe), "--dry-run"]) == 0
    assert calls[1][0] == "dry_run_benchmark"


# --- the other commands


def test_restore_hands_everything_on(calls: list[Any]) -> None:
    line = "restore p.jpg --weights w.pth -o o.png --references r --face 2 --output generic --device cpu --save-faces s"
    assert main_module.main(line.split()) == 0
    [(name, arguments, keywords)] = calls
    assert (name, arguments) == ("restore_photograph", ("p.jpg", "w.pth", "o.png"))
    assert keywords == {
        "references": "r",
        "face": "2",
        "output": "generic",
        "device": "cpu",
        "backend": "dlib",
        "save_faces": "s",
    }


def test_restore_offers_what_the_restorer_takes() -> None:
    from inspect import signature

    from dmdnet.restore.restorer import OUTPUTS
    from dmdnet.restore.run import restore_photograph

    parser = main_module.argparse.ArgumentParser()
    restore.add_arguments(parser)
    actions = {action.dest: action for action in parser._actions}
    assert set(actions["output"].choices or ()) == set(OUTPUTS)
    defaults = {name: item.default for name, item in signature(restore_photograph).parameters.items()}
    for name in ("face", "output", "device", "backend", "references", "save_faces"):
        assert actions[name].default == defaults[name]


def test_schema_is_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_module.main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["title"] == "dmdnet options"
    assert main_module.main(["schema", "-o", str(tmp_path / "s.json")]) == 0
    assert (tmp_path / "s.json").read_text() == printed
    assert main_module.main(["schema", "-o", str(tmp_path / "no" / "s.json")]) == 2
    assert "error: " in capsys.readouterr().err


def test_the_weights_that_are_not_shipped_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "vgg19-dcbb9e9d.pth").touch()
    assert main_module.main(["weights", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "vgg19: present" in printed
    assert "dmdnet: missing" in printed


@pytest.mark.parametrize(
    "arguments", [[], ["trian"], ["train"], ["restore", "p.jpg"], ["train", "-opt", "x", "--se", "a=1"]]
)
def test_bad_arguments_end_with_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main_module.main(arguments)
    assert caught.value.code == 2
    assert "usage: dmdnet" in capsys.readouterr().err


# --- how a command ends


def test_errors_of_the_user_are_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(error: BaseException) -> int:
        def command(arguments: object) -> int:
            raise error

        return reporting.reported(command, None)  # type: ignore[arg-type]

    assert fails(DataError("a.png: is gone")) == 2
    assert fails(NonFiniteLossError("iteration 7: l1 is nan")) == 3
    assert fails(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "error: a.png: is gone\nerror: iteration 7: l1 is nan\ninterrupted\n"
    with pytest.raises(ZeroDivisionError):  # a bug keeps its traceback
        fails(ZeroDivisionError())


@pytest.mark.parametrize(("rank", "speaks"), [("0", True), ("1", False)])
def test_option_mistakes_are_said_once(
    rank: str, speaks: bool, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(SystemExit) as caught:
        train.main(["-opt", str(recipe), "--set", "train.total_itr=5"])
    assert caught.value.code == 2
    assert ("did you mean 'total_iter'" in capsys.readouterr().err) is speaks


# --- real processes


MISTAKES = {
    "missing file": (["-opt", "{folder}/recpie.yml"], "did you mean '{folder}/recipe.yml'?"),
    "folder": (["-opt", "options"], "error: options: is a folder"),
    "no YAML": (["-opt", "setup.py"], "error: setup.py:"),
    "tag": (["--set", "name=!!python/object/apply:os.system ['echo hi']"], "the tag !!python/object/apply:os.system"),
    "unknown type": (["--set", "network_g.type=DMDNett"], "unknown network type 'DMDNett'; did you mean 'DMDNet'?"),
    "missing data": ([], "nowhere"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_no_mistake_shows_a_traceback(arguments: list[str], message: str, recipe: Path) -> None:
    given = [argument.replace("{folder}", str(recipe.parent)) for argument in arguments]
    done = python("train.py", *(given if "-opt" in given else ["-opt", str(recipe), *given]), "--dry-run")
    assert done.returncode == 2
    assert message.replace("{folder}", str(recipe.parent)) in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stdout + done.stderr


def test_help_needs_nothing_heavy() -> None:
    code = "import sys; from dmdnet.cli.main import build_parser; build_parser(); print(*sys.modules)"
    assert not {"torch", "pydantic", "yaml"} & set(python("-c", code).stdout.split())
    assert "--force_yml" in python("train.py", "--help").stdout
    assert "restore" in python("-m", "dmdnet", "--help").stdout


def test_a_mistake_in_the_file_is_found_before_torch_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "bad.yml"
    path.write_text("name: a\nname: b\n")
    code = f"""
import sys
from dmdnet.cli.train import main
try:
    main(["-opt", {str(path)!r}])
except SystemExit as end:
    print(end.code, "torch" in sys.modules)
"""
    done = python("-c", code)
    assert done.stdout.split() == ["2", "False"]
    assert f"{path}:2: name: is given twice" in done.stderr


def test_a_reader_that_leaves_is_no_traceback() -> None:
    code = "from dmdnet.cli.reporting import reported; reported(lambda _: print('x' * 10**6), None)"
    command = f'{sys.executable} -c "{code}" | head -c 10'
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("x" * 10, "")
