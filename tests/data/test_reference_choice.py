"""Which pictures become references."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made_tables import NoPictures, table

from dmdnet.data.farthest_points import farthest_points
from dmdnet.data.manifest import Manifest, Strings
from dmdnet.data.people import NameHashes
from dmdnet.data.references import ReferenceChooser, ReferencePolicy, count_range, farthest_order, pose_order
from dmdnet.data.selection import QualityFloor, select
from dmdnet.errors import ConfigError

PEOPLE = {"ann": 5, "bob": 2, "cas": 1}
ANN, BOB, CAS = range(5), (5, 6), (7,)


def chooser(policy: ReferencePolicy, manifest: Manifest | None = None, **options: object) -> ReferenceChooser:
    pose_of = options.pop("pose_of", None)
    return ReferenceChooser(select(table(PEOPLE) if manifest is None else manifest, **options), policy, pose_of)


def choose(policy: ReferencePolicy, target: int = 2, tries: int = 2000, **given: object) -> list[tuple[int, ...]]:
    rng, choice = np.random.default_rng(0), chooser(policy, **given)
    found = []
    for _ in range(tries):
        candidates, count = choice.choose(target, rng)
        found.append(tuple(candidates[:count].tolist()))
    return found


def wrong(choice: ReferenceChooser, target: int, count: int) -> tuple[int, ...]:
    return tuple(choice.wrong(target, count)[:count].tolist())


class TestCount:
    def test_of_the_same_person_never_the_target_none_twice(self) -> None:
        for chosen in choose(ReferencePolicy((1, 8))):
            assert set(chosen) <= {0, 1, 3, 4}
            assert len(set(chosen)) == len(chosen)

    def test_numbers_are_uniform_up_to_what_there_is(self) -> None:
        counts = Counter(len(chosen) for chosen in choose(ReferencePolicy((1, 4))))
        assert all(counts[n] / 2000 == pytest.approx(0.25, abs=0.04) for n in (1, 2, 3, 4))
        assert {len(chosen) for chosen in choose(ReferencePolicy((3, 8)))} == {3, 4}

    def test_every_other_picture_is_equally_likely(self) -> None:
        counts = Counter(chosen[0] for chosen in choose(ReferencePolicy((1, 1))))
        assert all(counts[record] / 2000 == pytest.approx(0.25, abs=0.04) for record in (0, 1, 3, 4))

    @pytest.mark.parametrize(("option", "expected"), [(3, {3}), ((2, 2), {2}), (0, {0}), ("all", {4})])
    def test_forms_of_the_option(self, option: object, expected: set[int]) -> None:
        policy = ReferencePolicy(count_range(option))
        assert {len(chosen) for chosen in choose(policy, tries=20)} == expected

    def test_a_number_draws_as_the_range_does(self) -> None:
        assert choose(ReferencePolicy(count_range(2)), tries=50) == choose(ReferencePolicy((2, 2)), tries=50)

    def test_a_person_with_one_picture_has_no_reference(self) -> None:
        assert set(choose(ReferencePolicy((1, 8)), target=7, tries=20)) == {()}

    @pytest.mark.parametrize("option", [(3, 1), (-1, 1), -2])
    def test_refuses_impossible_numbers(self, option: object) -> None:
        with pytest.raises(ConfigError, match="num_references"):
            count_range(option)

    def test_refuses_shares_above_one(self) -> None:
        with pytest.raises(ConfigError, match="more than 1"):
            ReferencePolicy((1, 2), none_prob=0.7, wrong_person_prob=0.7)


class TestCandidates:
    def test_lists_of_the_manifest_come_first_in_their_order(self) -> None:
        listed = [("ann/4.png", "ann/1.png", "ann/2.png"), ()] + [("ann/1.png",)] * 6
        manifest = table(PEOPLE, references=listed)
        assert set(choose(ReferencePolicy((2, 2), "given"), 0, 5, manifest=manifest)) == {(3, 1)}  # not itself
        assert set(choose(ReferencePolicy((2, 2), "given"), 1, 5, manifest=manifest)) == {()}
        assert set(choose(ReferencePolicy((2, 2), "given"), 7, 5, manifest=manifest)) == {(0,)}

    def test_near_duplicates_of_the_target_are_left_out_through_all_steps(self) -> None:
        marks = [None, "ann/1.png", None, "ann/2.png", None, "ann/3.png", None, None]  # 0 <- 1 <- 3, and bob's 5 of 2
        manifest = table(PEOPLE, duplicate_of=marks)
        for target in (0, 1, 3):
            assert set(choose(ReferencePolicy((9, 9), "given"), target, 3, manifest=manifest)) == {(2, 4)}
        assert set(choose(ReferencePolicy((9, 9), "given"), 4, 3, manifest=manifest)) == {(0, 1, 2, 3)}
        wrong_ones = choose(ReferencePolicy((9, 9), "given", wrong_person_prob=1.0), 2, 60, manifest=manifest)
        assert set(wrong_ones) == {(6,), (7,)}  # bob's copy of the target is no picture of somebody else

    def test_copies_of_the_targets_file_are_left_out(self) -> None:
        manifest = table(PEOPLE, checksum=[7, 8, 7, None, None, 9, 9, 9])
        assert set(choose(ReferencePolicy((9, 9), "given"), 0, 3, manifest=manifest)) == {(1, 3, 4)}
        assert set(choose(ReferencePolicy((9, 9), "given"), 3, 3, manifest=manifest)) == {(0, 1, 2, 4)}

    def test_pictures_below_the_floor_are_no_references_but_targets(self) -> None:
        manifest = table(PEOPLE, sharpness=[9.0, 2.0, 5.0, None, 7.0, 1.0, 1.0, 9.0], source_side=[300.0, *[None] * 7])
        floor = QualityFloor(min_sharpness=5.0, min_source_side=256)
        assert set(choose(ReferencePolicy((9, 9), "given"), 1, 3, manifest=manifest, floor=floor)) == {(0, 2, 3, 4)}
        assert len(select(manifest, floor=floor).targets) == 8
        both = select(manifest, floor=QualityFloor(min_sharpness=5.0, min_source_side=301, applies_to="all"))
        assert both.targets.tolist() == [2, 3, 4, 7]

    def test_a_person_below_the_floor_is_nobodys_wrong_person(self) -> None:
        manifest = table(PEOPLE, sharpness=[9.0] * 5 + [1.0] * 2 + [9.0])
        policy = ReferencePolicy((1, 2), wrong_person_prob=1.0)
        floor = QualityFloor(min_sharpness=5.0)
        assert set(choose(policy, 0, 30, manifest=manifest, floor=floor)) == {(7,)}
        assert {refs[0] for refs in choose(policy, 5, 60, manifest=manifest, floor=floor)} == {0, 1, 2, 3, 4, 7}
        assert wrong(chooser(policy, manifest, floor=floor), 0, 1) == (7,)

    def test_reference_only_pictures_are_used(self) -> None:
        manifest = table(PEOPLE, is_target=[True, *[False] * 4, True, True, True])
        assert select(manifest).targets.tolist() == [0, 5, 6, 7]
        assert set(choose(ReferencePolicy((9, 9), "given"), 0, 3, manifest=manifest)) == {(1, 2, 3, 4)}

    def test_a_face_without_sharp_picture_is_no_reference(self) -> None:
        manifest = table(PEOPLE, picture=["a", "", "c", "d", "e", "f", "g", "h"])
        assert set(choose(ReferencePolicy((9, 9), "given"), 0, 3, manifest=manifest)) == {(2, 3, 4)}


class TestOrder:
    def test_given_takes_the_first(self) -> None:
        assert set(choose(ReferencePolicy((3, 3), "given"), target=0)) == {(1, 2, 3)}
        assert set(choose(ReferencePolicy((3, 3), "given"), target=2)) == {(0, 1, 3)}

    def test_farthest_begins_with_the_most_usual_and_spreads(self) -> None:
        places = [99.0, 1.0, 10.0, 8.0, 4.0, 0.0, 0.0, 0.0]
        manifest = table(PEOPLE, embedding=[np.array([place, 0.0]) for place in places])
        assert set(choose(ReferencePolicy((9, 9), "farthest"), 0, 3, manifest=manifest)) == {(4, 2, 1, 3)}

    def test_farthest_puts_unknown_embeddings_last(self) -> None:
        points = np.array([[0.0], [np.nan], [4.0], [5.0]])
        assert farthest_order(points, 9).tolist() == [2, 0, 3, 1]
        assert farthest_order(points, 1).tolist() == [2, 0, 3, 1]
        assert farthest_order(points[:0], 3).tolist() == []
        assert farthest_order(points[1:2], 3).tolist() == [0]
        ordered = farthest_order(np.arange(40.0)[:, None], 3).tolist()
        assert ordered[:3] == [19, 39, 0]
        assert sorted(ordered) == list(range(40))

    def test_farthest_of_all_of_very_many_orders_the_first_of_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        limits = []

        def counted(points: np.ndarray, limit: int) -> list[int]:
            limits.append(limit)
            return farthest_points(points, limit)

        monkeypatch.setattr("dmdnet.data.references.farthest_points", counted)
        embeddings = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
        manifest = replace(table({"a": 300}), arrays={**table({"a": 300}).arrays, "embedding": embeddings})
        rng = np.random.Generator(np.random.Philox(0))
        chosen, _ = chooser(ReferencePolicy(count_range("all"), "farthest"), manifest=manifest).choose(0, rng)
        assert limits == [72]
        assert sorted(chosen.tolist()) == list(range(1, 300))

    def test_farthest_without_embeddings_says_what_to_do(self) -> None:
        with pytest.raises(ConfigError, match=r"farthest needs identity embeddings.*prepare"):
            chooser(ReferencePolicy((1, 1), "farthest"))

    def test_pose_takes_the_nearest_first(self) -> None:
        poses = {0: (0.0, 0.0, 0.0), 1: (40.0, 0.0, 0.0), 2: (5.0, -3.0, 0.0), 3: None, 4: (-10.0, 0.0, 2.0)}
        policy = ReferencePolicy((9, 9), "pose")
        assert set(choose(policy, 0, 3, pose_of=poses.get)) == {(2, 4, 1, 3)}
        assert set(choose(policy, 1, 3, pose_of=poses.get)) == {(2, 0, 4, 3)}
        assert set(choose(policy, 3, 3, pose_of=poses.get)) == {(0, 1, 2, 4)}  # nothing to be near to
        assert pose_order([], (0.0, 0.0, 0.0)).tolist() == []


class TestWrongPeople:
    def test_shares_of_nobody_and_of_somebody_else(self) -> None:
        chosen = choose(ReferencePolicy((2, 2), none_prob=0.2, wrong_person_prob=0.1))
        assert np.mean([not refs for refs in chosen]) == pytest.approx(0.2, abs=0.03)
        wrong_ones = [refs for refs in chosen if refs and not set(refs) <= set(ANN)]
        assert len(wrong_ones) / 2000 == pytest.approx(0.1, abs=0.03)
        assert {refs[0] for refs in wrong_ones} == {5, 6, 7}

    @pytest.mark.parametrize("rows", [ANN, BOB, CAS])
    def test_a_wrong_person_is_never_the_right_one(self, rows: tuple[int, ...]) -> None:
        for chosen in choose(ReferencePolicy((1, 3), wrong_person_prob=1.0), target=rows[0], tries=300):
            assert chosen
            assert not set(chosen) & set(rows)

    def test_of_an_evaluation_is_fixed_and_hardly_changed_by_newcomers(self) -> None:
        people = {f"p{number}": 3 for number in range(20)}
        policy = ReferencePolicy((3, 3), "given")
        choice = chooser(policy, table(people))
        chosen = {target: wrong(choice, target, 3) for target in range(0, 60, 3)}
        assert all(target not in rows and rows[0] % 3 == 0 for target, rows in chosen.items())
        assert len({rows[0] for rows in chosen.values()}) > 5  # not one person for all
        more = chooser(policy, table(people | {"newcomer": 3}))
        assert sum(wrong(more, target, 3) != chosen[target] for target in chosen) < 6
        excluded = chooser(policy, table(people), exclude_identities=("p3",))
        changed = [t for t in chosen if t // 3 != 3 and wrong(excluded, t, 3) != chosen[t]]
        assert all(chosen[target][0] // 3 == 3 for target in changed)

    def test_has_enough_pictures_when_anybody_has(self) -> None:
        choice = chooser(ReferencePolicy((1, 8), "given"))
        assert wrong(choice, 5, 4) == (0, 1, 2, 3)
        assert wrong(choice, 5, 9) in {(0, 1, 2, 3, 4), (7,)}
        assert len(wrong(choice, 0, 4)) in (1, 2)

    def test_hashes_are_the_plain_ones(self) -> None:
        names = ["", "a", "Zoë 张", "p1", "p22", "a" * 300]
        found = NameHashes(names).after("ann")
        assert found.tolist() == [zlib.crc32(f"ann\n{name}".encode()) for name in names]


def test_a_million_rows_cost_a_choice_nothing() -> None:
    count, people = 1_000_000, 200_000
    names = Strings.of(f"{n:07d}" for n in range(count))
    manifest = Manifest(
        text={"name": names, "picture": names},
        identities=Strings.of(f"{n:06d}" for n in range(people)),
        identity=(np.arange(count) // 5).astype(np.int32),
        split=np.zeros(count, np.uint8),
        is_target=np.ones(count, bool),
        storage=NoPictures(),
        origin="made",
    )
    choice = chooser(ReferencePolicy((1, 4), wrong_person_prob=0.5), manifest)
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for target in range(0, count, 1000):
        candidates, _ = choice.choose(target, rng)
        assert len(candidates) in (4, 5)
    assert (time.perf_counter() - start) / 1000 < 1e-3  # about 20 microseconds; going through the names takes 10 ms
    assert choice.wrong(0, 4)[0] // 5 != 0
