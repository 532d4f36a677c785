"""The parts that decide who is who, what is the same, who is in which split, and which references come first."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest

from dmdnet.data.farthest_points import farthest_points
from dmdnet.prepare import doubles, order
from dmdnet.prepare.doubles import find_doubles
from dmdnet.prepare.duplicates import find_duplicates, find_lookalikes
from dmdnet.prepare.identities import group_faces
from dmdnet.prepare.names import face_stem, folder_name
from dmdnet.prepare.options import TableOptions
from dmdnet.prepare.order import reference_orders
from dmdnet.prepare.people import assign_people, choose_people
from dmdnet.prepare.record import Finished, FoundFace, from_line, to_line
from dmdnet.prepare.scan import Failure
from dmdnet.prepare.splits import split_people
from dmdnet.prepare.table import make_rows

LIMIT = 0.6
PEOPLE = {f"{number:04}": 3 for number in range(2000)}


def face(photograph: str, embedding=(0.0, 0.0), number: int = 1, **values) -> FoundFace:
    known = {
        "file": f"ab/{number}.png", "checksum": 1, "num_bytes": 10, "size": (64, 64),
        "landmarks": np.zeros((68, 2), np.float32), "pose": (1.0, 2.0, 3.0), "sharpness": 5.0, "source_side": 100.0,
        "fingerprint": 2**63 + 1, "thumbnail": np.arange(16, dtype=np.uint8),
    }  # fmt: skip
    return FoundFace(photograph, number, embedding=np.array(embedding, np.float32), **{**known, **values})


def clouds(
    people: int, faces: int, spread: float, dimensions: int = 32, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings of people who lie 1 apart from each other, and whose they are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, np.sqrt(0.5 / dimensions), (people, dimensions))
    owner = np.repeat(np.arange(people), faces)
    return centres[owner] + rng.normal(0, spread / np.sqrt(2 * dimensions), (len(owner), dimensions)), owner


def partition(labels) -> set[frozenset[int]]:
    return {
        frozenset(np.flatnonzero(np.asarray(labels) == label).tolist()) for label in set(np.asarray(labels).tolist())
    }


class TestGroups:
    def test_separate_people_come_back_in_any_order(self):
        points, owner = clouds(20, 6, 0.35)
        expected = partition(owner)
        for seed in range(3):
            order_of = np.random.default_rng(seed).permutation(len(points))
            labels = np.empty(len(points), int)
            labels[order_of] = group_faces(points[order_of], range(len(points)), LIMIT)
            assert partition(labels) == expected

    def test_people_are_numbered_by_their_first_face(self):
        labels = group_faces(np.array([[5.0], [0.0], [5.1], [9.0], [0.1]]), range(5), LIMIT)
        assert labels.tolist() == [0, 1, 0, 2, 1]

    def test_a_bridge_does_not_join_two_people(self):
        """Single linkage, as FFHQ-Ref used it, makes one person of these."""
        left, right = np.linspace(0, 0.3, 6), np.linspace(1.2, 1.5, 6)
        points = np.concatenate([left, [0.75], right])[:, None]
        assert np.diff(points[:, 0]).max() < 0.5
        labels = group_faces(points, range(13), 0.5)
        assert labels[0] != labels[-1]
        assert len(set(labels[:6].tolist())) == len(set(labels[7:].tolist())) == 1

    def test_it_is_average_linkage_of_squared_distances(self):
        rng = np.random.default_rng(1)
        points = rng.normal(size=(60, 3))
        squared = ((points[:, None] - points[None]) ** 2).sum(-1)
        groups = [[number] for number in range(60)]
        while True:  # the textbook's way
            pairs = [(squared[np.ix_(one, other)].mean(), i, j)
                     for i, one in enumerate(groups) for j, other in enumerate(groups) if i < j]  # fmt: skip
            nearest, i, j = min(pairs)
            if nearest > 1.0:
                break
            groups[i] += groups.pop(j)
        assert partition(group_faces(points, range(60), 1.0)) == {frozenset(group) for group in groups}

    def test_two_faces_of_one_photograph_are_two_people_unless_they_are_very_near(self):
        points = np.array([[0.0], [0.5], [0.05], [0.55], [0.1]])
        assert len(set(group_faces(points, range(5), LIMIT).tolist())) == 1
        labels = group_faces(points, ["both", "both", "x", "y", "both"], LIMIT)
        assert labels[0] == labels[2] == labels[4] != labels[1]

    def test_nothing_and_one(self):
        assert group_faces(np.zeros((0, 4)), [], LIMIT).tolist() == []
        assert group_faces(np.zeros((1, 4)), [0], LIMIT).tolist() == [0]
        assert len(set(group_faces(np.zeros((50, 4)), range(50), LIMIT).tolist())) == 1  # all ties

    def test_memory_does_not_grow_with_the_square(self):
        points, _ = clouds(800, 5, 0.35, seed=3)
        tracemalloc.start()
        labels = group_faces(points.astype(np.float32), range(4000), LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(set(labels.tolist())) == pytest.approx(800, abs=8)
        assert peak < 120e6  # the table of all pairs alone has 128 MB


def who_is_who(faces, mode, limit):
    assigned = assign_people(faces, mode, limit)
    return assigned.people, assigned.failures, assigned.doubts


class TestFolders:
    def test_the_first_folder_names_the_person_or_the_innermost(self):
        faces = [face("Ann/2019/1.jpg"), face("Ann/2020/1.jpg"), face("Bob/1.jpg")]
        people, failures, _ = who_is_who(faces, "folders", LIMIT)
        assert [(person.name, len(person.faces)) for person in people] == [("Ann", 2), ("Bob", 1)]
        assert not failures
        people, _, _ = who_is_who(faces, "innermost", LIMIT)
        assert [person.name for person in people] == ["Ann/2019", "Ann/2020", "Bob"]

    def test_auto_sorts_when_a_photograph_lies_in_no_folder(self):
        assert choose_people(["a/1.png", "b/c/2.png"], "auto") == "folders"
        assert choose_people(["a/1.png", "2.png"], "auto") == "sort"
        people, failures, _ = who_is_who([face("a/1.png"), face("2.png")], "folders", LIMIT)
        assert [failure.photograph for failure in failures] == ["2.png"]
        assert len(people) == 1

    def test_a_stranger_among_many_is_left_out_and_listed(self):
        faces = [face(f"Ann/{n}.jpg", (0.05 * n, 0)) for n in range(4)] + [face("Ann/x.jpg", (2, 0))]
        people, failures, doubts = who_is_who(faces, "folders", LIMIT)
        assert len(people[0].faces) == 4
        assert [(item.photograph, "somebody else" in item.reason) for item in failures] == [("Ann/x.jpg", True)]
        assert not doubts

    def test_a_folder_without_agreement_is_believed(self):
        faces = [face(f"Ann/{n}.jpg", (2.0 * n, 0)) for n in range(5)] + [face("Ann/like0.jpg", (0.1, 0))]
        people, failures, doubts = who_is_who(faces, "folders", LIMIT)
        assert len(people[0].faces) == 6
        assert not failures
        assert doubts == ("Ann: only 2 of 6 photographs show the same person",)

    def test_the_person_of_a_group_is_the_one_of_the_other_photographs(self):
        group = [face("Ann/g.jpg", (3, 0), 1), face("Ann/g.jpg", (0.1, 0), 2), face("Ann/g.jpg", (0.4, 0), 3)]
        people, failures, _ = who_is_who([face("Ann/1.jpg", (0, 0)), *group], "folders", LIMIT)
        assert [(item.photograph, item.number) for item in people[0].faces] == [("Ann/1.jpg", 1), ("Ann/g.jpg", 2)]
        assert [(item.face, item.reason.split(" (")[0]) for item in failures] == [
            (1, "looks like somebody else than the folder's person"),
            (3, "is like the folder's person, and another face of the photograph more so"),
        ]

    def test_a_group_alone_says_nobody(self):
        people, failures, _ = who_is_who([face("Ann/g.jpg", (0, 0), 1), face("Ann/g.jpg", (3, 0), 2)], "folders", LIMIT)
        assert not people
        assert all("no other photograph of the folder says which is meant" in item.reason for item in failures)


class TestDuplicates:
    def test_the_sharper_and_larger_one_stands_for_the_others(self):
        faces = [
            face("a", (0, 0)),
            face("b", (0.1, 0), sharpness=9.0),
            face("c", (0.1, 0.1), source_side=50.0),
            face("another fingerprint", (0.1, 0), fingerprint=2**64 - 1),
            face("other pixels", (0.1, 0), thumbnail=np.arange(16, dtype=np.uint8)[::-1].copy()),
            face("somebody else", (0.5, 0)),
        ]
        found = find_duplicates(faces, LIMIT)
        assert found.of == (1, -1, 1, -1, -1, -1)
        assert found.pairs[0] == {1, 2}

    def test_none(self):
        assert find_duplicates([], LIMIT).of == ()
        assert find_lookalikes([], []) == []

    def test_people_whose_pictures_would_be_taken_for_copies_are_found(self):
        points, owners = clouds(12, 4, 0.3)
        rng = np.random.default_rng(0)
        prints = [int(value) for value in rng.integers(1 << 62, size=len(points))]
        prints[9] = prints[1] ^ 0b1011  # another person's picture, as far away as a stranger's
        prints[21] = prints[2] ^ 0b1
        points[21] = points[2] + 0.01  # and one that is near
        faces = [
            face(f"{n}", point, fingerprint=print_)
            for n, (point, print_) in enumerate(zip(points, prints, strict=True))
        ]
        assert find_lookalikes(faces, owners.tolist()) == [(2, 21)]
        assert find_lookalikes(faces[:12], owners[:12].tolist()) == []


class TestSplits:
    def test_shares_are_about_kept_and_newcomers_move_nobody(self):
        split = split_people(PEOPLE, val_share=0.05, test_share=0.1)
        counts = [list(split.values()).count(name) for name in ("train", "val", "test")]
        assert counts == pytest.approx([1700, 100, 200], abs=50)
        more = split_people({**PEOPLE, "newcomer": 4}, val_share=0.05, test_share=0.1)
        assert {key: more[key] for key in split} == split
        assert split_people(PEOPLE, seed=1) != split

    @pytest.mark.parametrize("count", range(3, 12))
    def test_three_people_fill_three_splits(self, count):
        for seed in range(20):
            split = split_people({str(number): 2 for number in range(count)}, seed=seed)
            assert set(split.values()) == {"train", "val", "test"}

    def test_who_has_one_picture_trains(self):
        people = {str(number): 1 + number % 2 for number in range(400)}
        split = split_people(people)
        assert {split[key] for key, pictures in people.items() if pictures == 1} == {"train"}
        assert set(split_people({"a": 5, "b": 5}, test_share=0.9).values()) == {"train"}
        assert set(split_people({str(n): 2 for n in range(9)}, test_share=0, val_share=0).values()) == {"train"}

    def test_near_duplicates_never_cross(self):
        names = list(PEOPLE)
        random.Random(0).shuffle(names)
        alike = [*zip(names[:600:2], names[1:600:2], strict=True), (names[0], names[2])]
        split = split_people(PEOPLE, alike)
        assert all(split[one] == split[other] for one, other in alike)
        assert split == split_people(PEOPLE, [(b, a) for a, b in reversed(alike)])


class TestDoubles:
    def groups(self, centres, faces=4):
        rng = np.random.default_rng(0)
        return [np.array(centre) + rng.normal(0, 0.2 / np.sqrt(16), (faces, 8)) for centre in centres]

    def test_one_person_under_two_names_is_found(self):
        centres = np.eye(8)[[0, 1, 2, 0, 3]] * 0.6
        ((one, other, distance),) = find_doubles(self.groups(centres), LIMIT)
        assert (one, other) == (0, 3)
        assert 0.1 < distance < 0.3

    def test_where_everybody_is_alike_nobody_is_double(self):
        assert find_doubles(self.groups(np.eye(8) * 0.2), LIMIT) == []
        assert find_doubles(self.groups(np.eye(8)[:1]), LIMIT) == find_doubles([], LIMIT) == []

    def test_they_are_named_and_stay_together(self, monkeypatch):
        monkeypatch.setattr(doubles, "_BLOCK_ENTRIES", 20)  # several blocks
        rng = np.random.default_rng(0)
        faces = [
            face(
                f"{name}/{number}.png",
                np.eye(8)[person] * 0.6 + rng.normal(0, 0.05, 8),
                fingerprint=int(rng.integers(1 << 62)),
            )
            for name, person in (("Ann", 0), ("Bea", 1), ("Cem", 2), ("Holiday", 0), ("Zoe", 3))
            for number in range(3)
        ]
        assigned = assign_people(faces, "folders", LIMIT)
        assert assigned.doubles == (("Ann", "Holiday"),)
        assert "Ann and Holiday look like one person" in assigned.doubts[0]
        for seed in range(5):
            options = TableOptions(seed=seed, val_share=0.3, test_share=0.3)
            rows = [row for row, _ in make_rows(assigned.people, options, LIMIT, assigned.doubles)]
            splits = {row.identity: row.split for row in rows}
            assert splits["Ann"] == splits["Holiday"]
            assert len(set(splits.values())) > 1


class TestOrder:
    def test_pictures_that_are_left_out_change_nothing_else(self):
        points = np.array([[0.0], [1.0], [1.1], [4.0], [-3.0]])  # their mean is 0.62
        assert reference_orders(points, [[], [3], [0, 1, 2, 3, 4]]) == [[1, 4, 3, 0, 2], [0, 4, 2, 1], []]

    def test_orders_are_those_of_the_pictures_that_are_left(self):
        points = np.random.default_rng(0).normal(size=(90, 3))
        left_out = [[number, *((7 * number) % 90 for _ in range(number % 3))] for number in range(90)]
        for left, made in zip(left_out, reference_orders(points, left_out, 20), strict=True):
            kept = np.delete(np.arange(90), left)
            assert made == kept[farthest_points(points[kept], 20)].tolist()

    def test_most_orders_are_worked_out_once(self, monkeypatch):
        made = []
        monkeypatch.setattr(order, "farthest_points", lambda *given: made.append(1) or farthest_points(*given))
        points = np.random.default_rng(0).normal(size=(400, 8))
        orders = reference_orders(points, [[number] for number in range(400)])
        assert all(len(set(one)) == order.MOST_REFERENCES and number not in one for number, one in enumerate(orders))
        assert len(made) < 100


class TestRecords:
    def test_a_line_gives_back_what_was_written(self):
        one = face('Ünï/1 "quoted".jpg', (0.25, -3), number=2)
        written = Finished("x", (5, 6), (one,), (Failure("x", "no, «not» this\nface", 3),), passing=True)
        line = to_line(written)
        assert line.count("\n") == 1
        read = from_line(line)
        assert (read.photograph, read.stamp, read.failures, read.passing) == ("x", (5, 6), written.failures, True)
        for key, value in vars(one).items():
            got = getattr(read.faces[0], key)
            assert np.array_equal(got, value) if isinstance(value, np.ndarray) else key == "photograph" or got == value


class TestNames:
    def test_names_stay_readable_safe_and_apart(self):
        names = ["Ann", "a b", "a_b", "../..", "Jürgen Müller", "Данил", "  ", "x" * 300, "a/b", "."]
        made = [folder_name(name) for name in names]
        assert made[0] == "Ann"
        assert made[5] == "Данил"
        assert len(set(made)) == len(names)
        assert all(name and "/" not in name and name[0] != "." and len(name.encode()) < 120 for name in made)

    def test_the_same_name_in_two_folders_gives_two_pictures(self):
        assert face_stem("2019/1.jpg", 1) != face_stem("2020/1.jpg", 1) != face_stem("2020/1.jpg", 2)
        assert face_stem("a/😀.jpg", 1).isascii()
