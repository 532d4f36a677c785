"""Exit codes tell the causes of an end apart, and are documented."""

from __future__ import annotations

from pathlib import Path

from dmdnet import errors

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"


def test_an_exit_code_of_its_own_is_nobody_elses() -> None:
    own = {name: vars(value)["exit_code"] for name, value in vars(errors).items() if "exit_code" in vars_of(value)}
    assert len(set(own.values())) == len(own) >= 4, own
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name, code in own.items() if f"| {code} |" not in text] == []


def vars_of(value: object) -> dict[str, object]:
    return dict(vars(value)) if isinstance(value, type) else {}
