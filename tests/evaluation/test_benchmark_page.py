"""docs/benchmark.md documents the fields, reasons, questions and defaults that there are."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from dmdnet.config.options import BenchmarkOptions
from dmdnet.evaluation.published import published_sets
from dmdnet.evaluation.records import Reason
from dmdnet.evaluation.statistics.summary_record import QUESTIONS, SummaryRecord

TEXT = (Path(__file__).parents[2] / "docs/benchmark.md").read_text(encoding="utf-8")
SCHEMA = TEXT.partition("## The records of `summary.json`")[2].partition("\n## ")[0]


def test_every_field_is_documented_and_no_other():
    rows = re.findall(r"^\| (`.*?) \|", SCHEMA, re.MULTILINE)
    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(documented) == sorted(field.name for field in fields(SummaryRecord))


@pytest.mark.parametrize("reason", [*get_args(Reason)[1:], "other"])
def test_every_reason_of_a_failure_is_named(reason):
    assert f"`{reason}`" in SCHEMA


def test_every_question_is_explained():
    for question in QUESTIONS:
        assert f"*{question}*" in TEXT or question in ("restoring", "asked")


def test_defaults_and_names_are_those_of_the_program():
    assert f"{BenchmarkOptions().bootstrap:,} resamples by default" in TEXT
    for name in BenchmarkOptions.model_fields:
        if name in ("failed", "permutations", "pairs", "difficulty"):
            assert f"benchmark.{name}" in TEXT
    assert set(re.findall(r"published: (\w+)", TEXT)) <= set(published_sets())
