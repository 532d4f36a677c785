"""Which people and pictures of a table a data set uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_tables import table

from dmdnet.data.manifest import Manifest
from dmdnet.data.selection import QualityFloor, select
from dmdnet.errors import DataError

PEOPLE = {f"{number:05d}": 2 for number in range(6)}


def people(manifest: Manifest, **conditions: object) -> list[int]:
    return list(dict.fromkeys(int(identity) for identity in select(manifest, **conditions).identities))


def test_everybody_by_default() -> None:
    selection = select(table(PEOPLE))
    assert selection.targets.tolist() == selection.rows.tolist() == selection.used().tolist() == list(range(12))
    assert selection.identities[2:4] == ["00001", "00001"]


def test_a_range_is_counted_before_exclusion() -> None:
    assert people(table(PEOPLE), identity_range=(1, 4)) == [1, 2, 3]
    assert people(table(PEOPLE), identity_range=(1, 4), exclude_identities=("00000", "00002", "x")) == [1, 3]


def test_a_range_counts_people_by_their_letters_as_it_always_has() -> None:
    assert people(table({str(number): 1 for number in range(12)}), identity_range=(0, 4)) == [0, 1, 10, 11]


def test_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "split.txt").write_text("# test people\n00004\n\n  00001  # second\n77777\n")
    assert people(table(PEOPLE), identities_file=str(tmp_path / "split.txt")) == [1, 4]
    assert "77777" in caplog.text


@pytest.mark.parametrize("conditions", [{"identity_range": (6, 9)}, {"exclude_identities": tuple(PEOPLE)}])
def test_nobody_left(conditions: dict) -> None:
    with pytest.raises(DataError, match="is left"):
        select(table(PEOPLE), **conditions)


def test_no_target_left() -> None:
    with pytest.raises(DataError, match="none is left as a target"):
        select(table(PEOPLE, sharpness=[1.0] * 12), floor=QualityFloor(min_sharpness=2.0, applies_to="all"))
    with pytest.raises(DataError, match="none is left as a target"):
        select(table(PEOPLE, is_target=[False] * 12))


def test_a_floor_of_which_the_table_knows_nothing_is_named(caplog: pytest.LogCaptureFixture) -> None:
    floor = QualityFloor(min_sharpness=2.0, min_source_side=100)
    assert len(select(table(PEOPLE, sharpness=[9.0] * 12), floor=floor).targets) == 12
    assert "no source_side is known" in caplog.text
    assert "no sharpness" not in caplog.text


def test_bad_files(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nobody\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for name, words in (("empty.txt", "no identity"), ("absent.txt", "no file"), ("binary.txt", "as text")):
        with pytest.raises(DataError, match=words):
            select(table(PEOPLE), identities_file=str(tmp_path / name))


def test_used_are_targets_and_whatever_may_be_their_reference() -> None:
    manifest = table({"a": 3, "b": 2}, references=[("b/2.png",), (), (), (), ()], sharpness=[1.0, 9.0, 1.0, 9.0, 9.0])
    selection = select(manifest, exclude_identities=("b",), floor=QualityFloor(min_sharpness=5.0))
    assert selection.listed_references().tolist() == [4]
    assert selection.used().tolist() == [0, 1, 2, 4]
    only_one = table({"a": 3}, is_target=[True, False, False], sharpness=[1.0, 9.0, 1.0])
    assert select(only_one, floor=QualityFloor(min_sharpness=5.0)).used().tolist() == [0, 1]
