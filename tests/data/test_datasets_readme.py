"""What datasets/README.md and the docstring of the degradations tell people to write is accepted."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

import dmdnet.degradations
from dmdnet.config.options import DatasetOptions
from dmdnet.data.loading import build_dataset
from dmdnet.degradations import build_degradation
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


def test_the_layouts_are_accepted() -> None:
    found = snippets(README.read_text(encoding="utf-8"), "layout:")
    assert {snippet["layout"]["type"] for snippet in found} == {"CelebRefHQLayout", "FFHQLayout"}
    for snippet in found:
        DatasetOptions.model_validate({"name": "a", "type": "ReferenceFaceDataset", **snippet})


def test_the_degradations_of_the_docstring_are_accepted() -> None:
    for snippet in snippets(dmdnet.degradations.__doc__ or "", "degradation:"):
        components = [DEGRADATIONS._validate(item) for item in snippet["degradation"]]
        assert build_degradation(components)
