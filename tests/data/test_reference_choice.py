"""Which pictures become references."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from dmdnet.data.references import ReferencePolicy, choose_references, wrong_person
from dmdnet.errors import ConfigError

PEOPLE = {"ann": (0, 1, 2, 3, 4), "bob": (5, 6), "cas": (7,)}


def choose(policy: ReferencePolicy, target: int = 2, identity: str = "ann", tries: int = 2000) -> list[tuple]:
    rng = np.random.default_rng(0)
    return [choose_references(target, identity, PEOPLE, policy, rng) for _ in range(tries)]


def test_of_the_same_person_never_the_target_none_twice() -> None:
    for chosen in choose(ReferencePolicy((1, 8))):
        assert set(chosen) <= {0, 1, 3, 4}
        assert len(set(chosen)) == len(chosen)


def test_numbers_are_uniform_up_to_what_there_is() -> None:
    counts = Counter(len(chosen) for chosen in choose(ReferencePolicy((1, 4))))
    assert all(counts[n] / 2000 == pytest.approx(0.25, abs=0.04) for n in (1, 2, 3, 4))
    assert {len(chosen) for chosen in choose(ReferencePolicy((3, 8)))} == {3, 4}


def test_every_other_picture_is_equally_likely() -> None:
    counts = Counter(chosen[0] for chosen in choose(ReferencePolicy((1, 1))))
    assert all(counts[record] / 2000 == pytest.approx(0.25, abs=0.04) for record in (0, 1, 3, 4))


def test_given_order_takes_the_first() -> None:
    assert set(choose(ReferencePolicy((3, 3), "given"), target=0)) == {(1, 2, 3)}
    assert set(choose(ReferencePolicy((3, 3), "given"), target=2)) == {(0, 1, 3)}


def test_shares_of_nobody_and_of_somebody_else() -> None:
    chosen = choose(ReferencePolicy((2, 2), none_prob=0.2, wrong_person_prob=0.1))
    assert np.mean([not refs for refs in chosen]) == pytest.approx(0.2, abs=0.03)
    wrong = [refs for refs in chosen if refs and not set(refs) <= set(PEOPLE["ann"])]
    assert len(wrong) / 2000 == pytest.approx(0.1, abs=0.03)
    assert {refs[0] for refs in wrong} == {5, 6, 7}


@pytest.mark.parametrize("identity", list(PEOPLE))
def test_a_wrong_person_is_never_the_right_one(identity: str) -> None:
    policy = ReferencePolicy((1, 3), wrong_person_prob=1.0)
    for chosen in choose(policy, target=PEOPLE[identity][0], identity=identity, tries=300):
        assert chosen
        assert not set(chosen) & set(PEOPLE[identity])


def test_a_person_with_one_picture_has_no_reference() -> None:
    assert set(choose(ReferencePolicy((1, 8)), target=7, identity="cas", tries=20)) == {()}


def test_the_wrong_person_of_an_evaluation_is_fixed() -> None:
    people = {f"p{number}": tuple(range(3 * number, 3 * number + 3)) for number in range(20)}
    chosen = {identity: wrong_person(identity, people, 3) for identity in people}
    assert all(not set(chosen[identity]) & set(people[identity]) for identity in people)
    assert len({records[0] for records in chosen.values()}) > 5  # not one person for all
    assert chosen == {identity: wrong_person(identity, dict(reversed(people.items())), 3) for identity in people}
    more = people | {"newcomer": (60, 61, 62)}
    changed = sum(wrong_person(identity, more, 3) != chosen[identity] for identity in people)
    assert changed < 6


def test_the_wrong_person_has_enough_pictures_when_anybody_has() -> None:
    assert wrong_person("bob", PEOPLE, 4) == (0, 1, 2, 3)
    assert len(wrong_person("ann", PEOPLE, 4)) in (1, 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": (3, 1)}, "num_references"),
        ({"count": (-1, 1)}, "num_references"),
        ({"count": (1, 2), "none_prob": 0.7, "wrong_person_prob": 0.7}, "more than 1"),
    ],
)
def test_refuses_impossible_policies(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ReferencePolicy(**options)
