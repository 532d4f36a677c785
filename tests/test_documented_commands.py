"""Every command that the documentation and the option files show is one that this version understands."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from dmdnet.cli.main import COMMANDS, build_parser
from dmdnet.config import load_options

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "datasets/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
RECIPES = sorted((ROOT / "options").rglob("*.yml"))
_START = re.compile(r"^(?:\$ )?((?:python|torchrun|make) .*)$")
_PLACEHOLDER = re.compile(r"\bFILE\b|<|options/my\.yml")


def commands_of_page(path: Path) -> list[str]:
    """Return the commands in the blocks and between the backticks of a Markdown page."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    indented = re.findall(r"^ {4}\S.*$", text, flags=re.MULTILINE)
    lines = [line.strip() for block in (*fenced, *indented) for line in block.splitlines()]
    found = [match[1] for line in lines if (match := _START.match(line)) and "─" not in line]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return found + [" ".join(one.split()) for one in re.findall(r"`((?:python|torchrun|make) [^`]+)`", prose)]


def commands_of_recipe(path: Path) -> list[str]:
    """Return the commands in the comments at the head of an option file."""
    comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    text = "\n".join(re.sub(r"^#\s*(?:Data|Command)?\s*", "", line) for line in comments).replace("\\\n", " ")
    found = [match[1] for line in text.splitlines() if (match := _START.match(line))]
    return [re.split(r"\s+\(", one)[0] for one in found]


SHOWN = sorted(
    {(path.relative_to(ROOT).as_posix(), one) for path in PAGES for one in commands_of_page(path)}
    | {(path.relative_to(ROOT).as_posix(), one) for path in RECIPES for one in commands_of_recipe(path)}
)


def test_commands_are_found() -> None:
    assert len(SHOWN) > 50
    assert {one.split()[0] for _, one in SHOWN} == {"python", "torchrun", "make"}
    for words in ("train.py", "test.py", "-m dmdnet prepare", "-m dmdnet bench train", "scripts/make_lmdb.py"):
        assert any(words in one for _, one in SHOWN), words


@pytest.mark.parametrize(("place", "command"), SHOWN)
def test_a_command_is_understood(place: str, command: str) -> None:
    program, *words = shlex.split(command.split(" ...")[0], comments=True)
    if program == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
        return
    if program == "torchrun":
        while words and words[0].startswith("-"):
            words.pop(0)
        if not words:  # only how ranks are started is spoken of
            return
    if words[:2] == ["-m", "dmdnet"]:
        understand(words[2:])
    elif words[0] in ("train.py", "test.py"):
        understand([words[0].removesuffix(".py"), *words[1:]])
    else:
        source = (ROOT / words[0]).read_text(encoding="utf-8")
        assert [word for word in words[1:] if word.startswith("-") and f'"{word}"' not in source] == []


def understand(words: list[str]) -> None:
    """Parse a command of the package, and load its option file with what it lays upon it."""
    if len(words) == 1:  # it is only named, without what it needs
        assert words[0] in COMMANDS
        return
    arguments: argparse.Namespace = build_parser().parse_args(words)
    if getattr(arguments, "opt", None) and not _PLACEHOLDER.search(arguments.opt):
        load_options(ROOT / arguments.opt, getattr(arguments, "overrides", []))


def suggestions(path: Path) -> list[list[str]]:
    """Return what the comments of an option file offer to lay upon it by --set."""
    comments = [line[1:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    found = [re.match(r"((?:'[^']+=[^']*'|[\w.]+=\S+)(?:\s|$))+", one) for one in "\n".join(comments).split("--set ")]
    texts = [one[0].splitlines()[0] for one in found if one]
    return [shlex.split(text.rstrip(". ")) for text in texts if "NAME=" not in text]


def heirs(path: Path) -> list[Path]:
    """Return the option files to try what is offered in one: itself, or those that a base serves."""
    if not path.name.startswith("base_"):
        return [path]
    return [one for one in RECIPES if f"_base_: {path.name}" in one.read_text(encoding="utf-8")]


OFFERED = [(one, offer) for path in RECIPES for offer in suggestions(path) for one in heirs(path)]


def test_suggestions_are_found() -> None:
    assert {path.name for path, _ in OFFERED} >= {
        "train_dmdnet_stage2.yml",
        "dmdnet_list.yml",
        "ffhq_ref.yml",
        "lfw.yml",
    }


@pytest.mark.parametrize(("path", "offer"), OFFERED, ids=lambda one: getattr(one, "name", None) or " ".join(one))
def test_what_an_option_file_suggests_is_accepted(path: Path, offer: list[str]) -> None:
    load_options(path, offer)
