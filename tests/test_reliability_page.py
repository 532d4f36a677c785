"""docs/reliability.md names tests that exist, for every scenario once."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.partition("## Scenarios")[2], flags=re.MULTILINE))


def test_every_scenario_has_its_line():
    assert [int(number) for number in ROWS] == [*range(1, 21), *range(34, 39)]


def test_every_named_test_exists():
    named = re.findall(r"[\w/]+/?test_\w+\.py", PAGE)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []


def test_a_line_names_a_test_or_promises_nothing():
    for number, row in ROWS.items():
        assert ("test_" in row) or ("not shown yet" in row), number
