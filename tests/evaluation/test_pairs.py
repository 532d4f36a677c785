"""Which methods are compared with which, and why."""

import pytest
from known_evaluations import INFOS

from dmdnet.errors import ConfigError
from dmdnet.evaluation.records import MethodInfo
from dmdnet.evaluation.statistics.pairs import check_pairs, pairs_of
from dmdnet.evaluation.statistics.scores import info_of_mode


def found(infos, asked=()):
    return [(pair.name, pair.question) for pair in pairs_of({info.name: info for info in infos}, asked)]


def test_one_network_with_references_and_a_folder():
    assert found(INFOS) == [
        ("ours_generic - input", "restoring"),
        ("ours_specific@3 - input", "restoring"),
        ("theirs - input", "restoring"),
        ("ours_specific@1 - ours_generic", "references"),
        ("ours_specific@3 - ours_generic", "references"),
        ("ours_specific@3 - ours_specific@1", "more_references"),
        ("ours_specific@3 - ours_wrong_person@3", "right_person"),
        ("ours_wrong_person@3 - ours_generic", "robustness"),
        ("ours_specific@3 - theirs", "methods"),
    ]


def test_the_modes_of_a_network_without_entries():
    assert found([info_of_mode(mode) for mode in ("input", "generic", "specific", "wrong_person")]) == [
        ("generic - input", "restoring"),
        ("specific - input", "restoring"),
        ("specific - generic", "references"),
        ("specific - wrong_person", "right_person"),
        ("wrong_person - generic", "robustness"),
    ]


def test_all_references_are_more_than_any_number():
    infos = [
        MethodInfo("all", "network", entry="a", mode="specific"),
        MethodInfo("two", "network", entry="a", mode="specific", references=2),
    ]
    assert found(infos) == [("all - two", "more_references")]


def test_wrong_references_of_another_number_are_another_question():
    infos = [
        MethodInfo("right", "network", entry="a", mode="specific", references=3),
        MethodInfo("wrong", "network", entry="a", mode="wrong_person", references=1),
    ]
    assert found(infos) == []


def test_every_entry_against_every_other_once():
    infos = [MethodInfo(name, "folder", entry=name) for name in "abcd"]
    assert found(infos) == [(f"{a} - {b}", "methods") for a, b in ("ab", "ac", "ad", "bc", "bd", "cd")]


def test_pairs_that_are_asked_for():
    asked = [("ours_specific@1", "theirs"), ("theirs", "input"), ("ours_specific@1", "not_of_this_set")]
    names = found(INFOS, asked)
    assert ("ours_specific@1 - theirs", "asked") in names
    assert ("theirs - input", "restoring") in names  # is there anyway
    assert len(names) == 10


def test_pairs_of_unknown_methods():
    with pytest.raises(ConfigError, match=r"benchmark\.pairs.*'ours_genric'.*did you mean 'ours_generic'"):
        check_pairs([("ours_genric", "input")], ["ours_generic", "input"])
    with pytest.raises(ConfigError, match="with itself"):
        check_pairs([("input", "input")], ["input"])
