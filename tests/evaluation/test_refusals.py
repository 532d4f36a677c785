"""A metric that refuses pictures costs its own numbers and nobody else's."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from fake_sets import SIZE, batches, decibels, restore

from dmdnet.errors import DataError
from dmdnet.evaluation import evaluate, summarise
from dmdnet.evaluation.findings import Findings
from dmdnet.evaluation.journal import Prints, SetJournal, read_journal
from dmdnet.evaluation.methods.outputs import OutputsMethod
from dmdnet.evaluation.records import UnusablePicture
from dmdnet.evaluation.reports.csv_files import pictures_csv
from dmdnet.evaluation.reports.documents import DOCUMENTS
from dmdnet.evaluation.reports.report import summary_json
from dmdnet.evaluation.runner import Before, SetOptions, evaluate_methods
from dmdnet.metrics import Metric, SetMetric, SetValue, build_metrics
from dmdnet.metrics.ms_ssim import MSSSIM
from dmdnet.metrics.psnr import PSNR
from dmdnet.registry import Component

SMALLEST = MSSSIM().smallest_side


class Choosy(Metric):
    """PSNR that refuses a whole batch for one bright picture in it."""

    recipe = "choosy@test"

    def forward(self, inputs):
        if any(float(picture[0, 0, 0]) > 250 for picture in inputs.pred_BCHW):
            raise DataError("a bright corner")
        return PSNR()(inputs)


class PairedMean(SetMetric):
    """The mean distance of pairs; refuses fewer than `least`, and pictures as `Choosy` does."""

    recipe = "paired@test/gt"
    least = 2

    def forward(self, inputs):
        if any(float(picture[0, 0, 0]) > 250 for picture in inputs.pred_BCHW):
            raise DataError("a bright corner")
        return inputs.pred_BCHW.float().flatten(1)

    def compare(self, pred_ND, target_ND, *, seed):
        if len(pred_ND) != len(target_ND) or len(pred_ND) < self.least:
            raise DataError(f"{len(pred_ND)} and {len(target_ND)} pictures")
        return SetValue(float(np.abs(pred_ND - target_ND).mean()))


def records_of(metrics, pictures=None, **options):
    evaluation = evaluate(restore, pictures or batches(size=4), metrics=metrics, set_name="s", **options)
    records = json.loads(summary_json(summarise(evaluation)))
    return evaluation, {(r["method"], r["metric"]): r for r in records if not r["group"]}


def test_pictures_too_small_for_one_metric_keep_the_others_numbers(caplog) -> None:
    assert SIZE < SMALLEST
    evaluation, found = records_of({"ms_ssim": MSSSIM(), "psnr": PSNR()})
    assert found["generic", "psnr"]["n"] == 12
    assert {info.name: bool(info.unavailable) for info in evaluation.metrics} == {"ms_ssim": True, "psnr": False}
    record = found["generic", "ms_ssim"]
    assert (record["mean"], record["n"], record["coverage"], record["n_undefined"]) == (None, 0, 0.0, 0)
    assert str(SMALLEST) in record["note"]
    assert str(SMALLEST) in DOCUMENTS["tables.md"](summarise(evaluation))
    assert "ms_ssim" not in pictures_csv(evaluation).splitlines()[0]
    assert caplog.text.count("ms_ssim is not computed") == 1


def test_one_refused_picture_of_a_batch_leaves_the_rest_scored() -> None:
    pictures = batches(size=4)
    pictures[1].lq_BCHW[2, :, 0, 0] = 255
    evaluation, found = records_of({"choosy": Choosy(), "paired": PairedMean()}, pictures)
    record = found["input", "choosy"]
    assert (record["n"], record["n_undefined"], record["n_pictures"]) == (11, 1, 12)
    assert record["mean"] == pytest.approx(decibels(32))
    assert record["note"].startswith("1 refused, the first: a bright corner")
    assert found["generic", "choosy"]["n"] == 12
    record = found["input", "paired"]  # each prediction beside its own ground truth, and no other
    assert (record["kind"], record["n"], record["mean"]) == ("set", 11, pytest.approx(32))
    assert not any(info.unavailable for info in evaluation.metrics)


def test_pictures_without_references_take_their_ground_truth_with_them() -> None:
    pictures = batches(size=4)
    pictures[0].references.mask_BR[:3] = False
    _, found = records_of({"paired": PairedMean()}, pictures)
    assert (found["specific", "paired"]["n"], found["generic", "paired"]["n"]) == (9, 12)
    assert found["specific", "paired"]["mean"] == pytest.approx(8 + 6 / 9)  # see `restore`: odd people miss by one more


def test_a_set_that_cannot_be_compared_has_the_reason_in_place_of_the_number() -> None:
    metric = PairedMean()
    metric.least = 20
    _, found = records_of({"paired": metric, "psnr": PSNR()})
    record = found["generic", "paired"]
    assert (record["kind"], record["mean"], record["n"], record["note"]) == ("set", None, 0, "12 and 12 pictures")
    assert found["generic", "psnr"]["n"] == 12


def test_a_metric_of_sets_without_weights_is_one_of_sets_all_the_same(tmp_path) -> None:
    ready, unavailable = build_metrics({"fid": Component("FID", {}), "psnr": Component("PSNR", {})}, str(tmp_path))
    evaluation = evaluate_methods(
        [OutputsMethod(restore, ["generic"])], batches(size=4), metrics=ready, unavailable=unavailable,
        about=SetOptions("s"),
    )  # fmt: skip
    kinds = {record.metric: record.kind for record in summarise(evaluation)}
    assert kinds == {"psnr": "mean", "fid": "set"}


def test_the_journal_keeps_why(tmp_path) -> None:
    prints = Prints({"input": "p"}, "p", lambda key, column: "s")
    journal = SetJournal(tmp_path, 0, prints)
    first = evaluate_methods(
        [OutputsMethod(restore, ["input"])], batches(size=4), metrics={"ms_ssim": MSSSIM()}, about=SetOptions("s"),
        journal=journal,
    )  # fmt: skip
    journal.close()
    kept = read_journal(tmp_path, [record.key for record in first.pictures], prints, lambda key, column: True)
    assert [record.unscored for _, record in sorted(kept.records.items())] == [r.unscored for r in first.pictures]
    assert all(math.isnan(record.values["ms_ssim"]) for record in kept.records.values())
    assert all(str(SMALLEST) in record.unscored["ms_ssim"] for record in kept.records.values())


def test_a_picture_that_can_be_read_again_counts_once() -> None:
    evaluation, _ = records_of({"psnr": PSNR()})
    lost = UnusablePicture(*evaluation.pictures[0].key, "unreadable", "the disk was away")
    again = evaluate_methods(
        [OutputsMethod(restore, ["input"])], batches(size=4), metrics={"psnr": PSNR()}, about=SetOptions("s"),
        before=Before(Findings(unusable={evaluation.pictures[0].key: lost}), [["input"]] * 3),
    )  # fmt: skip
    assert (again.n_pictures, again.unusable) == (12, ())
