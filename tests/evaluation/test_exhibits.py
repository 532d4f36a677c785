import math
from dataclasses import replace

import pytest
from made_evaluations import evaluation

from dmdnet.evaluation.exhibits import choose, lead_method, lead_metric
from dmdnet.evaluation.records import Evaluation, MethodInfo, MetricInfo


def chosen(found: Evaluation, each: int = 2) -> dict[str, list[int]]:
    """Return role -> places."""
    places: dict[str, list[int]] = {}
    for choice in choose(found, each):
        places.setdefault(choice.role, []).append(choice.place)
    return places


def test_the_right_references_lead_and_the_input_comes_last() -> None:
    found = evaluation()
    assert lead_method(found) == "ours_specific@4"
    assert lead_metric(found).name == "psnr"
    without = replace(found, methods=("input", "ours_wrong@4", "other_tool"))
    assert lead_method(without) == "other_tool"
    assert lead_method(replace(found, methods=("input",))) == "input"
    assert lead_method(replace(found, methods=())) is None
    every = MethodInfo("ours_specific", "network", "ours", "specific")  # all references that there are
    assert lead_method(replace(found, methods=(*found.methods, "ours_specific"), infos=(*found.infos, every))) == (
        "ours_specific"
    )


def test_the_places_are_those_that_the_roles_say() -> None:
    found = evaluation(people=20)
    values = sorted((r.values["psnr"] for r in found.of_method("ours_specific@4")), reverse=True)
    for choice in choose(found):
        assert choice.value == values[choice.place - 1]
        assert choice.of == 60
    places = chosen(found)
    assert places["best"][0] == 1
    assert places["worst"][-1] == 60
    assert set(places["median"]) <= set(range(21, 41))
    assert 30 in places["median"] or 31 in places["median"]
    assert max(places["best"]) <= 20
    assert min(places["worst"]) >= 41


def test_no_picture_and_while_there_are_enough_no_person_comes_twice() -> None:
    choices = choose(evaluation(people=20), each=3)
    assert len({(choice.identity, choice.name) for choice in choices}) == 9
    assert len({choice.identity for choice in choices}) == 9
    assert len(choose(evaluation(people=1), each=2)) == 3  # one person's three pictures, each in one role


def test_lower_is_better_turns_the_order() -> None:
    found = evaluation()
    lpips = replace(found, metrics=tuple(metric for metric in found.metrics if metric.name == "lpips"))
    best, worst = choose(lpips, 1)[0], choose(lpips, 1)[-1]
    assert best.value < worst.value
    assert best.of == 47  # one has no value


def test_failed_pictures_stand_for_nothing() -> None:
    found = replace(evaluation(), methods=("input", "other_tool"))
    failed = {r.name for r in found.of_method("other_tool") if r.status == "failed"}
    assert failed
    assert not failed & {choice.name for choice in choose(found, each=8)}


@pytest.mark.parametrize("metrics", [(), evaluation().metrics[3:]])
def test_where_no_picture_has_a_number_they_are_taken_evenly(metrics: tuple[MetricInfo, ...]) -> None:
    choices = choose(replace(evaluation(people=20), metrics=metrics))
    assert [choice.place for choice in choices] == [1, 13, 25, 36, 48, 60]
    assert {choice.role for choice in choices} == {"unscored"}
    names = [(choice.identity, choice.name) for choice in choices]
    assert names == sorted(names)


def test_values_that_are_none_are_no_scores() -> None:
    found = evaluation(people=1)
    none = tuple(replace(record, values=dict.fromkeys(record.values, math.nan)) for record in found.pictures)
    choices = choose(replace(found, pictures=none))
    assert [(choice.role, choice.place, choice.of) for choice in choices] == [("unscored", n, 3) for n in (1, 2, 3)]


def test_nothing_is_shown_where_nothing_was_restored() -> None:
    found = evaluation(people=1)
    failed = tuple(replace(record, status="failed") for record in found.pictures)
    assert choose(replace(found, pictures=failed)) == ()
    assert choose(replace(found, pictures=failed, metrics=())) == ()
