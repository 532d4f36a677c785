"""Real photographs of two people, groups and cut faces; skipped where the folder is missing."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from drawn_photographs import purity_and_completeness

from dmdnet.data.manifest import read_manifest
from dmdnet.prepare import FaceOptions, TableOptions, prepare

SIZE = 256
FACES = FaceOptions(size=SIZE)
# the groups' faces from the largest to the smallest; everything else shows one person
GROUPS = {("group/1.jpg", 1): "a", ("group/1.jpg", 2): "b", ("group/1.jpg", 3): "passer-by",
          ("group/2.jpg", 1): "a", ("group/2.jpg", 2): "b"}  # fmt: skip


def person_of(row) -> str:
    number = int(row.name.rsplit("-", 1)[1])
    if row.source.startswith("group/"):
        return GROUPS[row.source, number]
    return "b" if row.source.startswith("person_b/") else "a"


@pytest.fixture(scope="module")
def folders(photos, tmp_path_factory):
    """Two people's folders, each with a picture of both; `prepared` by folders."""
    root = tmp_path_factory.mktemp("real") / "photographs"
    for person, names in {"Person A": ["1", "2", "4"], "Person B": ["1", "2"]}.items():
        (root / person).mkdir(parents=True)
        for name in names:
            shutil.copy(photos / person.lower().replace(" ", "_") / f"{name}.jpg", root / person)
        shutil.copy(photos / "group" / "2.jpg", root / person / "both.jpg")
    output = root.parent / "out"
    return root, output, prepare(root, output, faces=FACES, workers=0)


def test_a_group_picture_gives_the_face_of_the_folders_person(folders):
    _, output, summary = folders
    rows = {row.source: row for row in read_manifest(output / "faces.manifest")}
    assert {name: row.identity for name, row in rows.items()} == {name: name.split("/")[0] for name in rows}
    assert len(rows) == 7
    number = {name: int(row.name.rsplit("-", 1)[1]) for name, row in rows.items()}
    assert (number["Person A/both.jpg"], number["Person B/both.jpg"]) == (1, 2)
    strangers = [failure for failure in summary.failures if "somebody else" in failure.reason]
    assert [(failure.photograph, failure.face) for failure in strangers] == [
        ("Person A/both.jpg", 2),
        ("Person B/both.jpg", 1),
    ]


def test_a_cut_out_of_a_group_is_its_near_duplicate(folders):
    rows = {row.source: row for row in read_manifest(folders[1] / "faces.manifest")}
    one, both = rows["Person B/1.jpg"], rows["Person B/both.jpg"]  # the photograph of both, and a part of it
    assert {one.duplicate_of, both.duplicate_of} == {None, (one if both.duplicate_of else both).name}
    twins = {one.name, both.name}
    assert all(not twins & set(row.references) for row in (one, both))
    assert len(twins & set(rows["Person B/2.jpg"].references)) == 1


def test_the_same_photographs_sorted_without_their_folders(folders):
    root, output, _ = folders
    summary = prepare(root, output, faces=FACES, table=TableOptions(people="sort"), workers=0)
    rows = list(read_manifest(output / "faces.manifest"))
    assert summary.people == 2
    assert len(rows) == 9  # both faces of both copies
    for row in rows:
        folder, number = row.source.split("/")[0], int(row.name.rsplit("-", 1)[1])
        expected = "person_0001" if (folder == "Person A") != (number == 2) else "person_0002"
        if row.source == "Person B/both.jpg":
            expected = f"person_000{number}"
        assert row.identity == expected


@pytest.mark.slow
def test_all_photographs_unsorted(photos, tmp_path):
    summary = prepare(photos, tmp_path / "out", faces=FACES, table=TableOptions(people="sort"), workers=2)
    rows = list(read_manifest(tmp_path / "out" / "faces.manifest"))
    assert (summary.photographs, len(rows), summary.people) == (13, 16, 3)
    assert purity_and_completeness([row.identity for row in rows], [hash(person_of(row)) for row in rows]) == (1, 1)
    distances = np.linalg.norm(
        np.stack([r.embedding for r in rows])[:, None] - np.stack([r.embedding for r in rows]), axis=-1
    )
    same = np.array([[person_of(one) == person_of(other) for other in rows] for one in rows])
    assert distances[same].max() < 0.5
    assert distances[~same].min() > 0.7
    # a photograph with its crop, its PNG, and its small copy are found out
    twins = {frozenset((row.source, next(o.source for o in rows if o.name == row.duplicate_of)))
             for row in rows if row.duplicate_of}  # fmt: skip
    assert {frozenset(pair) for pair in (("group/2.jpg", "person_a/3.jpg"), ("group/2.jpg", "person_b/1.jpg"),
            ("odd/32bit.png", "person_a/2.jpg"))} <= twins  # fmt: skip
