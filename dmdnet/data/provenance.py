"""Where the pictures of a written test set come from: everything that decided their bytes, as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dmdnet import __version__

FILE = "provenance.json"


@dataclass(frozen=True)
class Provenance:
    """What is known of a written test set.

    Args:
        recipe: preset, seed, size and the like.
        degradation: the operations, as an option file has them.
        versions: of the software that has a say in the bytes.
        pictures: by name: CRC-32 of the source's file and of the written ones, and all drawn parameters.
    """

    recipe: Mapping[str, Any]
    degradation: Sequence[Mapping[str, Any]]
    versions: Mapping[str, str]
    pictures: Mapping[str, Mapping[str, Any]]

    def as_json(self) -> str:
        """Return it as text, the same for the same content: a line a picture."""
        head = {key: value for key, value in vars(self).items() if key != "pictures"}
        text = json.dumps(head, indent=2, sort_keys=True, ensure_ascii=False)
        lines = [f"    {_line(name)}: {_line(self.pictures[name])}" for name in sorted(self.pictures)]
        return text.removesuffix("\n}") + ',\n  "pictures": {\n' + ",\n".join(lines) + "\n  }\n}\n"


def read_recipe(folder: Path) -> dict[str, Any]:
    """Return the recipe that the provenance of a written set names; an empty one where it cannot be read."""
    try:
        known = json.loads((folder / FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    recipe = known.get("recipe") if isinstance(known, dict) else None
    return recipe if isinstance(recipe, dict) else {}


def versions(found_landmarks: bool) -> dict[str, str]:
    """Return the versions of what computes and encodes the pictures, and of what found landmarks, if they were."""
    known = {"dmdnet": __version__, "numpy": np.__version__, "opencv": cv2.__version__}
    return known | {"dlib": _dlib_version()} if found_landmarks else known


def _dlib_version() -> str:
    for distribution in ("dlib-bin", "dlib"):
        with suppress(PackageNotFoundError):
            return version(distribution)
    return "unknown"


def parameters(draws: Any) -> Any:
    """Return draws as JSON can hold them: a draw is an object with its kind, a list of draws a list."""
    if dataclasses.is_dataclass(draws) and not isinstance(draws, type):
        values = {field.name: parameters(getattr(draws, field.name)) for field in dataclasses.fields(draws)}
        return {"draw": type(draws).__name__, **values}
    if isinstance(draws, tuple | list):
        return [parameters(item) for item in draws]
    return draws


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
