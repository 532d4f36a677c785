"""Every option file of the repository loads, prints, and loads back, without its data and without weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from dmdnet.config import load_options, to_yaml
from dmdnet.errors import ConfigError

OPTIONS = Path(__file__).parents[2] / "options"
RECIPES = [path for path in sorted(OPTIONS.rglob("*.yml")) if not path.name.startswith("base_")]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_loads_back_from_what_it_prints(path: Path, tmp_path: Path) -> None:
    options = load_options(path)
    again = tmp_path / "again.yml"
    again.write_text(to_yaml(options), encoding="utf-8")
    assert load_options(again) == options
    hash(options)
    assert load_options(path, debug=True).name == f"debug_{options.name}"


def test_there_are_recipes() -> None:
    assert {"train_dmdnet.yml", "test_dmdnet.yml"} <= {path.name for path in RECIPES}


@pytest.mark.skipif(importlib.util.find_spec("basicsr") is None, reason="basicsr is not installed")
def test_a_network_of_basicsr_in_an_option_file(tmp_path: Path) -> None:
    recipe = OPTIONS / "train_dmdnet.yml"
    foreign = ["network_g.type=basicsr.RRDBNet", "network_g.num_in_ch=3", "network_g.num_out_ch=3"]
    options = load_options(recipe, foreign)
    assert options.network_g.options["num_block"] == 23
    again = tmp_path / "again.yml"
    again.write_text(to_yaml(options), encoding="utf-8")
    assert load_options(again) == options
    with pytest.raises(ConfigError, match=r"network_g.num_blocks: unknown .*did you mean 'num_block'"):
        load_options(recipe, [*foreign, "network_g.num_blocks=1"])
