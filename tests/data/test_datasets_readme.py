"""What datasets/README.md and the docstring of the degradations tell people to write is accepted."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

import dmdnet.degradations
from dmdnet.config.options import DatasetOptions
from dmdnet.data.layouts import LAYOUTS
from dmdnet.data.loading import build_dataset
from dmdnet.degradations import build_degradation
from dmdnet.degradations.presets import PRESETS
from dmdnet.errors import DataError
from dmdnet.registry import DEGRADATIONS

README = Path(__file__).parents[2] / "datasets" / "README.md"


def snippets(text: str, first_word: str) -> list[Any]:
    """Return the indented YAML blocks that start with `first_word`, lists as tuples."""
    blocks = [block for block in text.split("\n\n") if block.strip().startswith(first_word)]
    return [as_options(yaml.safe_load(textwrap.dedent(block.strip("\n")))) for block in blocks]


def as_options(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_options(item) for key, item in value.items()}
    return tuple(map(as_options, value)) if isinstance(value, list) else value


def test_the_whole_example_is_accepted_and_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where nobody has put the data
    (example,) = snippets(README.read_text(encoding="utf-8"), "datasets:")
    options = DatasetOptions.model_validate(example["datasets"]["train"])
    assert options.dataset.options["num_references"] == (1, 8)
    with pytest.raises(DataError, match="datasets/CelebRefHQ/CelebHQRefForRelease"):
        build_dataset(options, seed=0, phase="train")


def test_every_layout_is_shown_and_what_is_shown_is_accepted() -> None:
    found = snippets(README.read_text(encoding="utf-8"), "layout:")
    assert {snippet["layout"]["type"] for snippet in found} == set(LAYOUTS.names())
    for snippet in found:
        DatasetOptions.model_validate({"name": "a", "type": "ReferenceFaceDataset", **snippet})


def test_option_files_and_scripts_that_are_named_are_there() -> None:
    text = README.read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:options|scripts|dmdnet)/[\w./]+\.(?:yml|py|txt)", text))
    assert len(named) > 15
    assert [path for path in sorted(named) if not (README.parents[1] / path).is_file()] == []
    root = README.parents[1]
    files = [*root.glob("options/t*.yml"), *root.glob("options/benchmarks/[!b]*.yml")]  # not the bases
    recipes = {path.relative_to(root).as_posix() for path in files}
    assert recipes <= named  # none is forgotten


def test_the_presets_are_named() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in PRESETS if f"`{name}`" not in text and f"name: {name}" not in text] == []


def test_the_data_of_the_recipes_are_where_the_readme_has_them() -> None:
    text = README.read_text(encoding="utf-8")
    for recipe in sorted(README.parents[1].rglob("options/**/*.yml")):
        for line in recipe.read_text(encoding="utf-8").splitlines():
            for root in re.findall(r"(?:dataroot\w*|list_file|reference_mapping|manifest): (datasets/[^\s,}]+)", line):
                assert root in text or root.rpartition("/")[0] in text, f"{recipe.name}: {root}"


def test_the_degradations_of_the_docstring_are_accepted() -> None:
    for snippet in snippets(dmdnet.degradations.__doc__ or "", "degradation:"):
        components = [DEGRADATIONS._validate(item) for item in snippet["degradation"]]
        assert build_degradation(components)
