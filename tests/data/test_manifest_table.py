"""The table of faces: rows in and out, parts of it."""

from __future__ import annotations

import numpy as np
import pytest

from dmdnet.data.manifest import Manifest, Row, Strings, select_rows
from dmdnet.data.storage import DiskStorage
from dmdnet.errors import DataError

FULL = Row(
    name="Zoë 张/2 b.png", identity="Zoë 张", picture="gt/2.png", degraded="lq/2.png", landmark_file="", split="train",
    is_target=False, checksum=7, degraded_checksum=2**32 - 1, num_bytes=100, size=(512, 512),
    landmarks=np.arange(136, dtype=np.float32).reshape(68, 2), embedding=np.arange(4, dtype=np.float32),
    pose=(1.5, -2.0, 0.0), sharpness=3.5, source_side=700.0, fingerprint=2**64 - 1, duplicate_of="a/1.png",
    references=("a/1.png", "c.png"), source="photos/1.jpg",
)  # fmt: skip


@pytest.fixture
def rows() -> list[Row]:
    return [
        Row("a/1.png", "a", "gt/1.png"),
        FULL,
        Row("c.png", "Zoë 张", "gt/c.png", split="test", references=()),
        Row("d.png", "d", degraded="lq/d.png", references=("c.png", "Zoë 张/2 b.png")),
    ]


def table(rows: list[Row]) -> Manifest:
    return Manifest.from_rows(rows, storage=DiskStorage("nowhere"), origin="made")


def test_rows_come_back(rows: list[Row]) -> None:
    manifest = table(rows)
    assert len(manifest) == 4
    assert manifest[1] == FULL
    assert manifest[0] == Row("a/1.png", "a", "gt/1.png", references=())  # lists exist in the table: an empty one
    assert [row.name for row in manifest] == ["a/1.png", "Zoë 张/2 b.png", "c.png", "d.png"]
    assert manifest.number_of["c.png"] == 2


@pytest.mark.parametrize("kept", [[1, 2, 3], [0, 2, 3], [3], [0, 1, 2, 3]])
def test_a_part_is_the_table_of_those_rows(rows: list[Row], kept: list[int]) -> None:
    part = select_rows(table(rows), np.array(kept))
    names = {rows[number].name for number in kept}
    assert len(part) == len(kept)
    assert sorted(part.identities) == sorted({rows[number].identity for number in kept})
    for number, row in zip(kept, part, strict=True):
        wanted = table(rows)[number]
        assert (row.name, row.identity, row.picture, row.split) == (
            wanted.name, wanted.identity, wanted.picture, wanted.split)  # fmt: skip
        assert row.references == tuple(name for name in wanted.references or () if name in names)
        assert row.duplicate_of == (wanted.duplicate_of if wanted.duplicate_of in names else None)
        assert row.fingerprint == wanted.fingerprint


def test_nothing_selected(rows: list[Row]) -> None:
    part = select_rows(table(rows), np.zeros(4, bool))
    assert len(part) == 0
    assert list(part) == []


def test_consecutive_rows_are_views(rows: list[Row]) -> None:
    manifest = table(rows)
    part = select_rows(manifest, np.array([1, 2]))
    assert np.shares_memory(part.arrays["landmarks"], manifest.arrays["landmarks"])


def test_random_parts_of_a_random_table() -> None:
    rng = np.random.default_rng(3)
    names = [f"{number}-{'x' * int(rng.integers(5))}é.png" for number in range(50)]
    rows = [
        Row(name, f"p{int(rng.integers(9))}", name, references=tuple(rng.choice(names, int(rng.integers(4)), False)))
        for name in names
    ]
    manifest = table(rows)
    for _ in range(20):
        chosen = rng.random(50) < rng.random()
        part = select_rows(manifest, chosen)
        kept = {name for name, keep in zip(names, chosen, strict=True) if keep}
        assert list(part.text["name"]) == [name for name in names if name in kept]
        for row in part:
            original = manifest[manifest.number_of[row.name]]
            assert row.identity == original.identity
            assert row.references == tuple(name for name in original.references or () if name in kept)


def test_two_faces_of_one_name_and_a_name_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"two faces are named 'a'"):
        table([Row("a", "p"), Row("a", "q")])
    with pytest.raises(DataError, match=r"a names 'b', which is not in the table"):
        table([Row("a", "p", references=("b",))])


class TestStrings:
    def test_take(self) -> None:
        strings = Strings.of(["", "é", "abc", "", "d"])
        assert list(strings.take(np.array([4, 1, 0, 2, 2]))) == ["d", "é", "", "abc", "abc"]
        assert list(strings.take(np.array([], dtype=np.int64))) == []
        assert list(Strings.of([]).take(np.array([], dtype=np.int64))) == []
        assert strings[-1] == "d"
        assert strings[1:3] == ["é", "abc"]

    def test_repeated_ones_are_found_as_a_set_finds_them(self) -> None:
        rng = np.random.default_rng(5)
        letters = ["a", "b", "é", "张"]
        for _ in range(200):
            values = ["".join(rng.choice(letters, int(rng.integers(0, 5)))) for _ in range(int(rng.integers(0, 12)))]
            found = Strings.of(values).repeated()
            assert (found is not None) == (len(set(values)) < len(values))
            if found is not None:
                assert found[0] < found[1]
                assert values[found[0]] == values[found[1]]

    def test_a_name_that_is_no_unicode(self) -> None:
        with pytest.raises(DataError, match="not UTF-8; rename"):
            Strings.of([b"\xff.png".decode("utf-8", "surrogateescape")])
