"""No option does nothing: the package reads every field of the options somewhere outside their definition."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dmdnet.config import options as module

PACKAGE = Path(module.__file__).parents[1]
SECTIONS = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == module.__name__]
FIELDS = [(section.__name__, name) for section in SECTIONS for name in getattr(section, "model_fields", {})]
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path != Path(module.__file__))


def test_the_sections_are_found() -> None:
    assert {"Options", "TrainOptions", "ValOptions", "LoggerOptions", "DistOptions", "PathOptions"} <= {
        section for section, _ in FIELDS
    }


@pytest.mark.parametrize(("section", "name"), FIELDS)
def test_an_option_is_read(section: str, name: str) -> None:
    assert re.search(rf"\.{name}\b", SOURCE), f"nothing reads {section}.{name}"
