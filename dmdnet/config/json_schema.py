"""The JSON schema (draft 2020-12) of option files, for completion and checks in editors.

Put this into the first line of an option file (the YAML extension of most editors reads it):

    # yaml-language-server: $schema=../options/options.schema.json

It is generated from the same signatures as the validation. A file with `_base_` may leave out anything, so it is
checked against a looser schema: names and types of what it has.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dmdnet.config.compose import BASE, MODEL_TYPE
from dmdnet.config.options import DatasetOptions, Options
from dmdnet.registry import DATASETS, JSON_PLACEHOLDER, Registry

DRAFT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def schema_text() -> str:
    """Return the schema as the text of a file, the same for the same components."""
    return json.dumps(options_schema(), indent=1, ensure_ascii=False) + "\n"


def options_schema() -> Schema:
    """Return the schema of option files with the components that are registered now."""
    registries = _reachable()
    models: list[type[BaseModel]] = [Options, *(registry.schema(name) for registry, name in _all(registries))]
    references, generated = models_json_schema([(model, "validation") for model in models])
    definitions: Schema = generated["$defs"]
    entry = definitions.pop(DatasetOptions.__name__)
    del entry["properties"]["dataset"]
    for registry, name in _all(registries):
        reference = references[registry.schema(name), "validation"]["$ref"]
        schema = definitions.pop(reference.removeprefix("#/$defs/"))
        definitions[_key(registry.kind, name)] = _component(name, registry.get(name), schema)
    for kind, registry in registries.items():
        definitions[_key(kind)] = _one_of(registry)
    sets = [definitions[_key(DATASETS.kind, name)] for name in DATASETS.names()]
    definitions[DatasetOptions.__name__] = {"oneOf": [_beside(item, entry) for item in sets]}
    whole = _linked({"$defs": definitions})["$defs"]
    whole["options"] = _with_short_forms(whole.pop(Options.__name__))
    loose = {f"inherited.{key}": _loosened(value) for key, value in whole.items()}
    return {
        "$schema": DRAFT,
        "title": "dmdnet options",
        "if": {"type": "object", "required": [BASE]},
        "then": {"$ref": "#/$defs/inherited.options"},
        "else": {"$ref": "#/$defs/options"},
        "$defs": dict(sorted({**whole, **loose}.items())),
    }


def _key(kind: str, name: str | None = None) -> str:
    """Return the name of a definition: `data_set`, or `data_set.MixedDataset`; a reference holds no spaces."""
    kind = kind.replace(" ", "_")
    return kind if name is None else f"{kind}.{name}"


def _reachable() -> dict[str, Registry]:
    """Return the registries that an option file can name components of, at any depth, by kind."""
    found: dict[str, Registry] = {}
    waiting = _kinds(Options.model_json_schema())
    while waiting:
        kind = waiting.pop()
        found[kind] = Registry.of_kind(kind)
        for name in found[kind].names():
            waiting |= _kinds(found[kind].schema(name).model_json_schema()) - found.keys()
    return dict(sorted(found.items()))


def _kinds(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value[JSON_PLACEHOLDER]} if JSON_PLACEHOLDER in value else set()
        return own.union(*map(_kinds, value.values()))
    return set().union(*map(_kinds, value)) if isinstance(value, list) else set()


def _all(registries: dict[str, Registry]) -> list[tuple[Registry, str]]:
    return [(registry, name) for registry in registries.values() for name in registry.names()]


def _component(name: str, constructor: Callable[..., Any], schema: Schema) -> Schema:
    """Return the schema of one component with its `type`, described by its docstring."""
    about = _described_arguments(constructor)
    properties = {"type": {"const": name}}
    for key, value in schema.get("properties", {}).items():
        properties[key] = {**value, "description": about[key]} if key in about else value
    summary = (inspect.cleandoc(constructor.__doc__ or "").split("\n\n")[0]).replace("\n", " ")
    return {
        "type": "object",
        **({"description": summary} if summary else {}),
        "properties": properties,
        "required": ["type", *schema.get("required", [])],
        "additionalProperties": False,
    }


def _described_arguments(constructor: Callable[..., Any]) -> dict[str, str]:
    """Return what the `Args:` of a docstring say, by argument."""
    text = inspect.cleandoc(constructor.__doc__ or "")
    section = re.search(r"^Args:\n((?: +.*\n?|\n)+)", text, re.MULTILINE)
    if section is None:
        return {}
    entries = re.findall(r"^    (\w+): ((?:.*\n?)(?:^ {5,}.*\n?)*)", section[1], re.MULTILINE)
    return {name: " ".join(description.split()) for name, description in entries}


def _one_of(registry: Registry) -> Schema:
    own: list[Schema] = [{"$ref": f"#/$defs/{_key(registry.kind, name)}"} for name in registry.names()]
    foreign: list[Schema] = [
        {
            "type": "object",
            "properties": {"type": {"type": "string", "pattern": f"^{re.escape(prefix)}"}},
            "required": ["type"],
        }
        for prefix in registry.foreign
    ]
    return {"oneOf": own + foreign}


def _beside(component: Schema, entry: Schema) -> Schema:
    """Return the flat schema of a data set together with how it is loaded."""
    loading = [name for name in entry["required"] if name != "dataset"]
    return {
        **component,
        "properties": {**component["properties"], **entry["properties"]},
        "required": [*component["required"], *loading],
    }


def _linked(value: Any) -> Any:
    """Return `value` with the registries' placeholders turned into references, and without pydantic's titles."""
    if isinstance(value, dict):
        rest = {key: _linked(item) for key, item in value.items() if key != "title" or not isinstance(item, str)}
        kind = rest.pop(JSON_PLACEHOLDER, None)
        return rest if kind is None else {"$ref": f"#/$defs/{_key(kind)}", **rest}
    return [_linked(item) for item in value] if isinstance(value, list) else value


def _with_short_forms(options: Schema) -> Schema:
    """Return the top of an option file with `model_type` for `model`, and `_base_`."""
    name = {"type": "string", "description": "BasicSR's short form of model.type"}
    base: Schema = {
        "description": "the file or files that this one starts from, relative to it",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    }
    required = [key for key in options["required"] if key != "model"]
    return {
        **options,
        "properties": {BASE: base, MODEL_TYPE: name, **options["properties"]},
        "required": required,
        "oneOf": [{"required": ["model"]}, {"required": [MODEL_TYPE]}],
    }


def _loosened(value: Any) -> Any:
    """Return a schema for a part of a file that is laid upon another: nothing is required, null takes away."""
    if isinstance(value, list):
        return [_loosened(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return {**value, "$ref": value["$ref"].replace("#/$defs/", "#/$defs/inherited.")}
    result: Schema = {}
    for key, item in value.items():
        if key == "required" and "additionalProperties" in value:  # foreign types, open to any option, keep it
            continue
        if key == "oneOf" and all(set(part) == {"required"} for part in item):
            continue
        if key == "properties":
            result[key] = {name: _or_null(_loosened(part)) for name, part in item.items()}
        elif key == "additionalProperties" and isinstance(item, dict):
            result[key] = _or_null(_loosened(item))
        else:
            result["anyOf" if key == "oneOf" else key] = _loosened(item)
    return result


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}
