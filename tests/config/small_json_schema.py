"""A validator for the part of JSON Schema (draft 2020-12) that the options use; any other keyword is an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
TYPES: dict[str, Any] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
}
ANNOTATIONS = {"$schema", "$defs", "title", "description", "default"}


class SmallValidator:
    def __init__(self, schema: Schema) -> None:
        self.root = schema

    def errors(self, value: Any, schema: Schema | bool | None = None, path: str = "") -> list[str]:
        """Return what is wrong with `value`, each with its path."""
        if isinstance(schema, bool):
            return [] if schema else [f"{path}: nothing is allowed here"]
        schema = self.root if schema is None else schema
        found = []
        for keyword, argument in schema.items():
            if keyword not in ANNOTATIONS and keyword not in ("then", "else"):
                check = getattr(self, "check_" + keyword.replace("$", "").replace("if", "condition"))
                found += check(value, argument, schema, path)
        return found

    def check_ref(self, value: Any, reference: str, schema: Schema, path: str) -> list[str]:
        assert re.fullmatch(r"#/\$defs/[\w.]+", reference), f"no URI fragment: {reference}"
        return self.errors(value, self.root["$defs"][reference.removeprefix("#/$defs/")], path)

    def check_condition(self, value: Any, condition: Schema, schema: Schema, path: str) -> list[str]:
        return self.errors(value, schema["else" if self.errors(value, condition) else "then"], path)

    def check_type(self, value: Any, name: str, schema: Schema, path: str) -> list[str]:
        return [] if TYPES[name](value) else [f"{path}: is no {name}"]

    def check_const(self, value: Any, wanted: Any, schema: Schema, path: str) -> list[str]:
        return [] if value == wanted else [f"{path}: is not {wanted}"]

    def check_enum(self, value: Any, wanted: list[Any], schema: Schema, path: str) -> list[str]:
        return [] if value in wanted else [f"{path}: is not among {wanted}"]

    def check_properties(self, value: Any, properties: Schema, schema: Schema, path: str) -> list[str]:
        if not isinstance(value, dict):
            return []
        return [
            line
            for key in properties.keys() & value
            for line in self.errors(value[key], properties[key], f"{path}.{key}")
        ]

    def check_required(self, value: Any, keys: list[str], schema: Schema, path: str) -> list[str]:
        return [f"{path}.{key}: is missing" for key in keys if isinstance(value, dict) and key not in value]

    def check_additionalProperties(self, value: Any, rule: Any, schema: Schema, path: str) -> list[str]:
        if not isinstance(value, dict):
            return []
        others = [key for key in value if key not in schema.get("properties", {})]
        return [line for key in others for line in self.errors(value[key], rule, f"{path}.{key}")]

    def check_oneOf(self, value: Any, options: list[Schema], schema: Schema, path: str) -> list[str]:
        fitting = sum(not self.errors(value, option, path) for option in options)
        return [] if fitting == 1 else [f"{path}: fits {fitting} of {len(options)} forms"]

    def check_anyOf(self, value: Any, options: list[Schema], schema: Schema, path: str) -> list[str]:
        return [] if any(not self.errors(value, option, path) for option in options) else [f"{path}: fits no form"]

    def check_prefixItems(self, value: Any, schemas: list[Schema], schema: Schema, path: str) -> list[str]:
        pairs = zip(value, schemas, strict=False) if isinstance(value, list) else ()
        return [line for index, (item, part) in enumerate(pairs) for line in self.errors(item, part, f"{path}.{index}")]

    def check_items(self, value: Any, rule: Any, schema: Schema, path: str) -> list[str]:
        rest = value[len(schema.get("prefixItems", [])) :] if isinstance(value, list) else []
        return [line for index, item in enumerate(rest) for line in self.errors(item, rule, f"{path}.{index}")]

    def check_pattern(self, value: Any, pattern: str, schema: Schema, path: str) -> list[str]:
        return [f"{path}: does not match {pattern}"] if isinstance(value, str) and not re.search(pattern, value) else []

    def check_minItems(self, value: Any, limit: int, schema: Schema, path: str) -> list[str]:
        return [f"{path}: too short"] if isinstance(value, list) and len(value) < limit else []

    def check_maxItems(self, value: Any, limit: int, schema: Schema, path: str) -> list[str]:
        return [f"{path}: too long"] if isinstance(value, list) and len(value) > limit else []

    def check_minLength(self, value: Any, limit: int, schema: Schema, path: str) -> list[str]:
        return [f"{path}: too short"] if isinstance(value, str) and len(value) < limit else []

    def check_minimum(self, value: Any, limit: float, schema: Schema, path: str) -> list[str]:
        return [f"{path}: too small"] if TYPES["number"](value) and value < limit else []

    def check_maximum(self, value: Any, limit: float, schema: Schema, path: str) -> list[str]:
        return [f"{path}: too large"] if TYPES["number"](value) and value > limit else []

    def check_exclusiveMinimum(self, value: Any, limit: float, schema: Schema, path: str) -> list[str]:
        return [f"{path}: too small"] if TYPES["number"](value) and value <= limit else []

    def check_exclusiveMaximum(self, value: Any, limit: float, schema: Schema, path: str) -> list[str]:
        return [f"{path}: too large"] if TYPES["number"](value) and value >= limit else []

    def check_multipleOf(self, value: Any, step: int, schema: Schema, path: str) -> list[str]:
        return [f"{path}: no multiple of {step}"] if TYPES["number"](value) and value % step else []
