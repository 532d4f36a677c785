"""The form of the data files of published numbers: `sets.yml`, and one file per source in `data/`.

A source's file holds its tables as the paper prints them: a row per method, and the columns of one set after the
other. A cell that the paper leaves empty is null. Values are what the paper prints and are never converted.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from dmdnet.config.yaml_reader import read_yaml
from dmdnet.errors import DataError
from dmdnet.typed import FrozenDict, Named, Strict

FOLDER = Path(__file__).parent
Reading = Literal["R", "S"]
M = TypeVar("M", bound=Strict)


class SetFacts(Strict):
    """A set as the tables name it."""

    title: str
    note: str


class SetsFile(Strict):
    """`sets.yml`: the sets, and which way every metric is better."""

    sets: Named[SetFacts]
    higher_is_better: Named[bool]


class TableData(Strict):
    """One printed table.

    `reading`: R read in the source's own table, S at second hand. `columns`: set -> its metrics, in the order of the
    cells of `rows`. `recipes`: those that differ from the source's. `dropped`: method -> set -> pictures that are
    missing from its means.
    """

    where: str
    reading: Reading
    columns: Named[tuple[str, ...]]
    rows: Named[tuple[float | None, ...]]
    recipes: Named[str] = Field(default_factory=FrozenDict)
    split: Named[str] = Field(default_factory=FrozenDict)
    pictures: Named[Annotated[int, Field(gt=0)]] = Field(default_factory=FrozenDict)
    dropped: Named[Named[int]] = Field(default_factory=FrozenDict)
    notes: Named[str] = Field(default_factory=FrozenDict)
    note: str = ""

    @model_validator(mode="after")
    def _fits(self) -> TableData:
        width = sum(len(metrics) for metrics in self.columns.values())
        for method, cells in self.rows.items():
            if len(cells) != width:
                raise ValueError(f"{self.where}, row {method!r}: {len(cells)} cells for {width} columns")
        for kind, names, known in (
            ("notes", self.notes, self.rows),
            ("dropped", self.dropped, self.rows),
            ("split", self.split, self.columns),
            ("pictures", self.pictures, self.columns),
        ):
            for name in names:
                if name not in known:
                    raise ValueError(f"{self.where}, {kind}: {name!r} is not in the table")
        return self


class SourceFile(Strict):
    """One paper: how to cite it, what is known of its recipes, its tables."""

    source: str
    citation: str
    recipes: Named[str]
    tables: tuple[TableData, ...]
    note: str = ""


@cache
def sets_file() -> SetsFile:
    """Return `sets.yml`."""
    return _read(SetsFile, FOLDER / "sets.yml")


@cache
def source_files() -> tuple[SourceFile, ...]:
    """Return every source, sorted by the name of its file.

    Raises:
        DataError: a file does not hold what it must.
    """
    return tuple(_read(SourceFile, path) for path in sorted((FOLDER / "data").glob("*.yml")))


def _read(model: type[M], path: Path) -> M:
    content: dict[str, Any] = read_yaml(path).plain()
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {place}: {first['msg']}; see dmdnet/evaluation/published/files.py") from None
