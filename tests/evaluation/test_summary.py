"""The records of a summary, from evaluations whose truth is known."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from known_evaluations import INFOS, METRICS, TRUTH, made_evaluation

from dmdnet.config.options import BenchmarkOptions
from dmdnet.errors import ConfigError
from dmdnet.evaluation.reports.report import summary_json
from dmdnet.evaluation.statistics.bootstrap import bootstrap_mean
from dmdnet.evaluation.statistics.permutation import holm, permutation_test
from dmdnet.evaluation.statistics.summary import FEW_NOTE, MEANS_ONLY, SummarySettings, summarise

EVALUATION = made_evaluation()
RECORDS = summarise(EVALUATION)


def one(method, metric="psnr", records=RECORDS, group=""):
    found = [r for r in records if (r.method, r.metric, r.group) == (method, metric, group)]
    assert len(found) == 1
    return found[0]


def values(method, metric="psnr"):
    pictures = [p for p in EVALUATION.of_method(method) if p.status != "no_references"]
    return {p.key: p.values[metric] for p in pictures}


def test_a_difference_is_that_of_the_pictures_that_both_have():
    first, second = values("ours_specific@3"), values("ours_generic")
    assert set(second) - set(first) == {("000", "000/0.png")}
    by_hand = {key: first[key] - second[key] for key in first}
    record = one("ours_specific@3 - ours_generic")
    assert record.pair == ("ours_specific@3", "ours_generic")
    assert record.question == "references"
    assert record.mean == pytest.approx(np.mean(list(by_hand.values())))
    assert record.mean == pytest.approx(TRUTH["ours_specific@3"] - TRUTH["ours_generic"], abs=0.1)
    people = [identity for identity, _ in by_hand]
    interval = bootstrap_mean(list(by_hand.values()), people, seed=0)
    assert (record.ci_low, record.ci_high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    test = permutation_test(list(by_hand.values()), people, seed=0)
    assert record.p_value == test.p_value == 2 / 2**12
    assert "all 4096 sign flips" in record.test


def test_p_values_are_corrected_within_a_metric():
    for metric in ("psnr", "lpips"):
        mine = [r for r in RECORDS if r.kind == "difference" and r.metric == metric and r.of_whole_set]
        assert len(mine) == 9
        assert [r.p_adjusted for r in mine] == holm([r.p_value for r in mine])
        assert all("9 pairs" in r.test for r in mine)


def test_methods_that_are_alike_are_not_told_apart():
    alike = made_evaluation(infos=tuple(replace(info, name=f"alike_{info.name}") for info in INFOS[:3]))
    alike = replace(alike, set_values={})
    for record in summarise(alike):
        if record.kind == "difference" and record.of_whole_set:
            assert record.p_adjusted > 0.05


def test_failures_references_and_unusable_pictures_are_counted():
    theirs, specific = one("theirs"), one("ours_specific@3")
    assert (theirs.n_pictures, theirs.n, theirs.n_failed, theirs.n_unusable) == (49, 48, 1, 1)
    assert theirs.failures == {"missing": 1}
    assert theirs.coverage == pytest.approx(47 / 49)
    assert (specific.n, specific.n_no_references, specific.n_failed) == (47, 1, 0)
    assert specific.coverage == pytest.approx(47 / 49)
    assert (specific.entry, specific.mode, specific.references, specific.references_given) == (
        "ours",
        "specific",
        3,
        3.0,
    )
    assert one("input").references_given is None
    both = one("ours_specific@3 - theirs")
    assert (both.n, both.n_failed, both.failures) == (47, 1, {"missing": 1})


def test_a_failed_picture_that_is_dropped_is_not_in_the_mean():
    dropped = summarise(replace(EVALUATION, failed_as="drop"))
    record = one("theirs", records=dropped)
    kept = [v for key, v in values("theirs").items() if key != ("000", "000/1.png")]
    assert record.mean == pytest.approx(np.mean(kept))
    assert (record.n, record.n_failed, record.n_undefined, record.scored_as) == (47, 1, 0, "drop")
    assert one("theirs", "fid", dropped).n == 47


def test_a_value_that_is_not_defined_is_counted_apart():
    pictures = [
        replace(p, values={"psnr": math.nan, "lpips": 0.5}) if p.key == ("003", "003/2.png") else p
        for p in EVALUATION.pictures
    ]
    record = one("theirs", records=summarise(replace(EVALUATION, pictures=tuple(pictures))))
    assert (record.n, record.n_undefined, record.n_failed) == (47, 1, 1)
    assert record.coverage == pytest.approx(46 / 49)


def test_a_number_of_the_whole_set():
    record = one("ours_specific@3", "fid")
    assert (record.kind, record.mean, record.ci_low, record.n) == ("set", 30.0, None, 47)
    assert record.note == "fewer pictures than features"
    assert record.coverage == pytest.approx(47 / 49)
    assert not [r for r in RECORDS if r.metric == "fid" and r.kind != "set"]


def test_a_metric_without_its_weights_says_what_to_do():
    records = [r for r in RECORDS if r.metric == "ids"]
    assert {r.method for r in records} == set(EVALUATION.methods)
    assert {(r.kind, r.mean, r.n, r.coverage) for r in records} == {("mean", None, 0, 0.0)}
    assert {r.note for r in records} == {"w600k_r50.pth is missing; put it into weights/"}
    of_set = replace(METRICS[2], unavailable="no weights")
    record = one("input", "fid", summarise(replace(EVALUATION, metrics=(METRICS[0], of_set), set_values={})))
    assert (record.kind, record.mean, record.note) == ("set", None, "no weights")


def test_few_people_are_said_to_be_few():
    assert one("input").note == ""
    assert one("input", records=summarise(made_evaluation(people=9))).note == FEW_NOTE
    three = one("ours_specific@3 - theirs", records=summarise(made_evaluation(people=3)))
    assert three.note == FEW_NOTE
    assert three.p_value == 0.25
    assert "no value below 0.25" in three.test


def test_quarters_hold_every_picture_once_and_are_the_same_for_all():
    quarters = [r for r in RECORDS if r.group_by == "input_quality" and r.kind == "mean"]
    assert {r.group_metric for r in quarters} == {"psnr"}
    of_input = [r for r in quarters if (r.method, r.metric) == ("input", "psnr")]
    assert [r.group for r in of_input] == ["hardest quarter", "second hardest", "second easiest", "easiest quarter"]
    assert sum(r.n for r in of_input) == 48
    ordered = sorted(values("input").values())
    for number, record in enumerate(of_input):
        part = ordered[12 * number : 12 * number + 12]
        assert record.mean == pytest.approx(np.mean(part))
        assert (record.group_low, record.group_high) == (part[0], part[-1])
    for method in EVALUATION.methods:
        assert [r.n_pictures for r in quarters if (r.method, r.metric) == (method, "lpips")] == [12] * 4
    hardest = one("ours_specific@3 - ours_generic", group="hardest quarter")
    assert hardest.p_value is None
    assert hardest.mean == pytest.approx(1.5, abs=0.2)


def test_quarters_by_a_metric_of_which_less_is_better():
    records = summarise(EVALUATION, SummarySettings(difficulty="lpips"))
    hardest, easiest = (one("input", "lpips", records, group) for group in ("hardest quarter", "easiest quarter"))
    assert hardest.group_low > easiest.group_high


@pytest.mark.parametrize("evaluation", [made_evaluation(people=3, each=5), made_evaluation(infos=INFOS[1:])])
def test_too_few_pictures_or_no_input_have_no_quarters(evaluation):
    assert all(record.of_whole_set for record in summarise(replace(evaluation, set_values={})))


def test_settings_come_from_the_option_file_and_are_checked_before_the_work():
    options = BenchmarkOptions(bootstrap=50, permutations=99, pairs=(("a", "b"),), difficulty="psnr")
    settings = SummarySettings.of_options(options, seed=7)
    assert settings == SummarySettings(7, 50, 99, (("a", "b"),), difficulty="psnr")
    settings.check(["a", "b"], ["psnr"])
    with pytest.raises(ConfigError, match=r"benchmark\.pairs"):
        settings.check(["a"], ["psnr"])
    with pytest.raises(ConfigError, match=r"benchmark\.difficulty.*'psnr'.*did you mean 'psnr_y'"):
        settings.check(["a", "b"], ["psnr_y"])


def test_seed_and_counts_stand_in_the_records():
    records = summarise(made_evaluation(people=20), SummarySettings(seed=7, resamples=50, permutations=99))
    record = one("ours_specific@3 - theirs", records=records)
    assert "50 resamples, Philox seed 7" in record.interval
    assert "99 drawn sign flips, Philox seed 7" in record.test
    assert record.seed == 7
    assert record == one("ours_specific@3 - theirs", records=summarise(
        made_evaluation(people=20), SummarySettings(seed=7, resamples=50, permutations=99)
    ))  # fmt: skip


def test_means_only():
    records = summarise(EVALUATION, MEANS_ONLY)
    assert one("input", records=records).mean == one("input").mean
    assert all(r.ci_low is None and r.p_value is None and r.of_whole_set for r in records)


def test_json_holds_everything():
    entries = json.loads(summary_json(RECORDS))
    assert len(entries) == len(RECORDS)
    entry = next(e for e in entries if e["method"] == "ours_specific@3 - theirs" and e["metric"] == "psnr")
    assert entry["pair"] == ["ours_specific@3", "theirs"]
    assert entry["failures"] == {"missing": 1}
    assert entry["severity"] == 4.0


@pytest.mark.slow
def test_a_thousand_pictures_of_a_thousand_people_take_seconds():
    import time

    infos = tuple(replace(INFOS[5], name=f"m{number}", entry=f"m{number}") for number in range(12))
    evaluation = replace(made_evaluation(1000, 1, infos=(*INFOS, *infos)), set_values={})
    start = time.monotonic()
    records = summarise(evaluation)
    assert len(records) > 300
    assert time.monotonic() - start < 60
