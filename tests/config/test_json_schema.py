from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from small_json_schema import SmallValidator

from dmdnet.config.json_schema import DRAFT, options_schema, schema_text
from dmdnet.config.yaml_reader import read_yaml
from dmdnet.registry import ARCHS, LOSSES

ROOT = Path(__file__).parents[2]
SCHEMA_FILE = ROOT / "options" / "options.schema.json"
RECIPES = sorted((ROOT / "options").rglob("*.yml"))
PREFIX = "base_"  # files that are only inherited from


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return options_schema()


def as_json(value: Any) -> Any:
    """Return what a JSON validator in an editor sees."""
    return json.loads(json.dumps(value))


SMALL: dict[str, Any] = {
    "name": "x",
    "model": {"type": "DMDNetModel"},
    "network_g": {"type": "DMDNet", "image_size": 128},
    "datasets": {
        "test": {"name": "t", "type": "ReferenceFaceDataset", "layout": {"type": "FFHQLayout", "dataroot_gt": "x"}}
    },
    "train": {"total_iter": 5, "optim_g": {"type": "Adam"}, "losses": [{"type": "L1Loss"}]},
    "val": {"metrics": {"psnr": {"type": "PSNR"}}},
}


def test_the_committed_schema_is_up_to_date() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), (
        "run: python -m dmdnet schema -o options/options.schema.json"
    )


def test_the_schema_is_the_same_each_time(schema: dict[str, Any]) -> None:
    assert options_schema() == schema
    assert schema["$schema"] == DRAFT


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_the_recipes_are_accepted(path: Path, schema: dict[str, Any]) -> None:
    value = as_json(read_yaml(path).plain())
    part = {"$ref": "#/$defs/inherited.options"} if path.name.startswith(PREFIX) else None
    assert SmallValidator(schema).errors(value, part) == []


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                assert value["$ref"].removeprefix("#/$defs/") in schema["$defs"]
            assert "x-registry" not in value
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(schema)


def changed(path: str, value: Any) -> dict[str, Any]:
    result = copy.deepcopy(SMALL)
    *parents, last = path.split(".")
    place: Any = result
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    place[last] = value
    return result


def test_a_small_recipe_is_accepted(schema: dict[str, Any]) -> None:
    assert SmallValidator(schema).errors(SMALL) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("nmae", "x"),
        ("model", "DMDNetModel"),
        ("model_type", "DMDNetModel"),  # beside model
        ("network_g.image_sise", 128),
        ("network_g.type", "DMDNett"),
        ("network_g.image_size", "128"),
        ("datasets.test.batch_size", 3),
        ("datasets.test.batch_size_per_gpu", 0),
        ("datasets.test.dataset", {}),
        ("datasets.test.layout.type", "FFHQ"),
        ("train.total_iter", 1e-3),
        ("train.total_iter", None),
        ("train.losses.0.weight", 1),
        ("train.optim_g.betas", [0.9]),
        ("train.optim_g.params", []),
        ("val.metrics.psnr.type", "SSIMM"),
    ],
)
def test_mistakes_are_marked(path: str, value: Any, schema: dict[str, Any]) -> None:
    assert SmallValidator(schema).errors(changed(path, value)) != []


def test_missing_options_are_marked_unless_inherited(schema: dict[str, Any]) -> None:
    part = {"network_g": {"image_size": 64}, "datasets": {"test": None}, "train": {"losses": [{"type": "L1Loss"}]}}
    validator = SmallValidator(schema)
    assert validator.errors(part) != []
    assert validator.errors({"_base_": "x.yml", **part}) == []
    assert validator.errors({"_base_": "x.yml", **part, "nmae": "x"}) != []
    assert validator.errors({"_base_": "x.yml", "network_g": {"image_sise": 64}}) != []


def test_short_form_and_foreign_types_are_accepted(schema: dict[str, Any]) -> None:
    short = {key: value for key, value in SMALL.items() if key != "model"}
    validator = SmallValidator(schema)
    assert validator.errors({**short, "model_type": "DMDNetModel"}) == []
    assert validator.errors(short) != []
    assert validator.errors(changed("network_g", {"type": "basicsr.RRDBNet", "num_in_ch": 3})) == []
    assert validator.errors(changed("network_g", {"type": "other.RRDBNet", "num_in_ch": 3})) != []


def test_components_are_described_by_their_docstrings(schema: dict[str, Any]) -> None:
    for registry in (ARCHS, LOSSES):
        for name in registry.names():
            assert schema["$defs"][f"{registry.kind}.{name}"]["description"]
    gan = schema["$defs"]["loss.GANLoss"]["properties"]
    assert gan["gan_type"]["default"] == "hinge"
    assert "hinge" in gan["gan_type"]["description"]
