"""evaluate(): values, failures, pictures without ground truth or references, and what is written."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_sets import ERRORS, SIZE, batch_of, batches, decibels, picture, restore

from dmdnet.errors import BoxError, DataError
from dmdnet.evaluation import evaluate
from dmdnet.images import read_image
from dmdnet.metrics.psnr import IDENTICAL_DB, PSNR
from dmdnet.metrics.ssim import SSIM

METRICS = {"psnr": PSNR(), "psnr_components": PSNR(region="components"), "ssim": SSIM()}


def run(method=restore, loader=None, **options):
    options = {"metrics": METRICS, "set_name": "faces", **options}
    return evaluate(method, batches() if loader is None else loader, **options)


def statuses(evaluation, method):
    return [record.status for record in evaluation.of_method(method)]


def test_means_are_those_worked_out_by_hand():
    evaluation = run()
    assert evaluation.methods == ("input", "generic", "specific", "wrong_person")
    assert len(evaluation.pictures) == 12 * 4
    assert evaluation.mean("input", "psnr") == pytest.approx(decibels(32))
    for method in ("generic", "specific", "wrong_person"):
        error = ERRORS[method]  # one grey level more in half of the people
        expected = (decibels(error) + decibels(error + 1)) / 2
        assert evaluation.mean(method, "psnr") == pytest.approx(expected)
        assert evaluation.mean(method, "psnr_components") == pytest.approx(expected)
    assert evaluation.means()["specific/psnr"] == evaluation.mean("specific", "psnr")


@pytest.mark.parametrize("size", [1, 5, 12])
def test_batch_size_changes_nothing(size):
    assert run(loader=batches(size=size)).pictures == run().pictures


def test_the_mean_weighs_pictures_not_batches():
    uneven = [batch_of([picture(0), picture(1), picture(2)]), batch_of([picture(3)])]
    evaluation = run(loader=uneven)
    assert evaluation.mean("specific", "psnr") == pytest.approx((3 * decibels(8) + decibels(9)) / 4)


def test_pictures_are_scored_as_they_are_saved():
    def unsaved(batch, modes):
        return dict.fromkeys(modes, (batch.gt_BCHW + 0.4) / 127.5 - 1)

    assert run(unsaved).mean("generic", "psnr") == IDENTICAL_DB


def test_values_past_white_and_black_are_cut():
    def bright(batch, modes):
        return {mode: torch.full(batch.gt_BCHW.shape, 7.0) for mode in modes}

    expected = [decibels_of(255.0 - item["gt"].double()) for item in (picture(0), picture(1))]
    assert run(bright, batches([0, 1])).mean("generic", "psnr") == pytest.approx(np.mean(expected))


def decibels_of(error):
    return 10 * math.log10(255**2 / error.square().mean().item())


def test_the_input_is_never_asked_for():
    asked = []

    def method(batch, modes):
        asked.append(modes)
        return restore(batch, modes)

    run(method, batches([0, 1]))
    run(method, batches([0, 1]), modes=("input",))
    assert asked == [("generic", "specific", "wrong_person")]


def test_without_ground_truth_pictures_are_restored_and_not_scored(tmp_path):
    evaluation = run(loader=batches(gt=False), out_dir=tmp_path, save_images=True, sheet_rows=2)
    assert math.isnan(evaluation.mean("specific", "psnr"))
    assert evaluation.means() == {}
    assert len(list(tmp_path.rglob("*.png"))) == 12 * 4
    assert evaluation.samples[0].target is None


def test_a_set_without_references_has_only_the_modes_that_need_none():
    evaluation = run(loader=batches(references=False, wrong=False))
    assert evaluation.methods == ("input", "generic")


def test_a_picture_without_references_is_not_scored_for_the_modes_that_use_them():
    loader = [batch_of([picture(0), picture(1, references=0)])]
    evaluation = run(loader=loader)
    assert statuses(evaluation, "specific") == ["ok", "no_references"]
    assert [record.references for record in evaluation.of_method("specific")] == [2, 0]
    assert [record.references for record in evaluation.of_method("generic")] == [0, 0]
    assert evaluation.mean("specific", "psnr") == pytest.approx(decibels(8))
    assert statuses(evaluation, "generic") == ["ok", "ok"]


def test_a_region_without_boxes_is_not_scored():
    batch = batch_of([picture(0), picture(1)])
    boxes = batch.gt_boxes_B44.clone()
    boxes[1] = 0
    evaluation = run(loader=[replace(batch, gt_boxes_B44=boxes)])
    values = [record.values for record in evaluation.of_method("specific")]
    assert math.isnan(values[1]["psnr_components"])
    assert values[1]["psnr"] == pytest.approx(decibels(8))
    assert evaluation.mean("specific", "psnr_components") == pytest.approx(decibels(8))


def test_values_that_are_not_finite_are_a_failure_scored_as_the_input(tmp_path):
    def method(batch, modes):
        pictures = restore(batch, modes)
        pictures["specific"][batch.names.index("00000/1.png"), 0, 0, 0] = math.nan
        return pictures

    evaluation = run(method, batches([0, 1, 2], size=3), out_dir=tmp_path, save_images=True)
    assert statuses(evaluation, "specific") == ["ok", "failed", "ok"]
    assert statuses(evaluation, "generic") == ["ok", "ok", "ok"]
    failed = evaluation.of_method("specific")[1]
    assert "not finite" in failed.note
    assert failed.values["psnr"] == pytest.approx(decibels(32))
    assert sorted(path.name for path in (tmp_path / "faces/specific/00000").iterdir()) == ["0.png", "2.png"]


def test_an_error_about_one_picture_costs_that_picture_only():
    calls = []

    def method(batch, modes):
        calls.append((batch.names, modes))
        if "00000/1.png" in batch.names and "wrong_person" in modes:
            raise BoxError("00000/1.png: the mouth box is empty")
        return restore(batch, modes)

    evaluation = run(method, batches([0, 1, 2, 3], size=4))
    assert statuses(evaluation, "wrong_person") == ["ok", "failed", "ok", "ok"]
    assert statuses(evaluation, "specific") == ["ok"] * 4
    assert "mouth box" in evaluation.of_method("wrong_person")[1].note
    assert evaluation.mean("wrong_person", "psnr") == pytest.approx(
        (2 * decibels(16) + decibels(32) + decibels(17)) / 4
    )
    assert len(calls) == 1 + 4 + 3  # the batch, each picture, each mode of the bad one


def test_every_picture_failing_is_still_an_evaluation():
    def method(batch, modes):
        raise DataError("no")

    evaluation = run(method)
    assert set(statuses(evaluation, "generic")) == {"failed"}
    assert evaluation.mean("generic", "psnr") == pytest.approx(evaluation.mean("input", "psnr"))


def test_a_fault_is_not_taken_for_a_failure():
    def method(batch, modes):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run(method)


def test_a_result_of_another_size_is_named():
    with pytest.raises(DataError, match=r"mode 'generic' gave \(2, 3, 24, 24\)"):
        run(lambda batch, modes: {mode: torch.zeros(2, 3, 24, 24) for mode in modes}, batches([0, 1]))


def test_ground_truth_of_another_size_is_named():
    batch = batch_of([picture(0)])
    bigger = replace(batch, gt_BCHW=torch.zeros(1, 3, 2 * SIZE, SIZE, dtype=torch.uint8))
    with pytest.raises(DataError, match=r"00000/0.png: input gives 48x48 pixels and the ground truth has 48x96"):
        run(loader=[bigger])


def test_two_pictures_of_one_name_are_refused():
    with pytest.raises(DataError, match=r"both named '00000/1.png'"):
        run(loader=[*batches([0, 1]), *batches([1, 2])])


def test_an_empty_set_is_refused():
    with pytest.raises(DataError, match="'faces' has no pictures"):
        run(loader=[])


def test_saved_pictures_are_those_that_were_scored(tmp_path):
    run(loader=batches([0, 1]), out_dir=tmp_path, save_images=True)
    saved = read_image(tmp_path / "faces/specific/00000/1.png")
    assert np.array_equal(saved, (picture(1)["gt"] + 8).permute(1, 2, 0).numpy())
    assert {path.name for path in (tmp_path / "faces").iterdir()} == set(ERRORS)


def test_pictures_are_written_only_where_asked(tmp_path):
    run(loader=batches([0, 1]), out_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_names_from_data_cannot_leave_the_folder(tmp_path):
    item = picture(0) | {"name": "../../../x.png", "identity": "0" * 400}
    out_dir = tmp_path / "results"
    run(loader=[batch_of([item])], out_dir=out_dir, save_images=True, set_name="../set")
    written = list(tmp_path.rglob("*.png"))
    assert len(written) == 4
    assert all(path.is_relative_to(out_dir) for path in written)


def test_samples_are_the_first_picture_of_the_first_people():
    evaluation = run(sheet_rows=3)
    assert [(sample.identity, sample.name) for sample in evaluation.samples] == [
        ("00000", "00000/0.png"),
        ("00001", "00001/0.png"),
        ("00002", "00002/0.png"),
    ]
    sample = evaluation.samples[0]
    assert list(sample.pictures) == list(ERRORS)
    assert sample.references.shape == (2, SIZE, SIZE, 3)
    assert sample.values["specific"]["psnr"] == pytest.approx(decibels(8))
    assert run().samples == ()


def test_progress_counts_pictures():
    seen = []
    run(loader=batches(range(5)), progress=seen.append)
    assert seen == [2, 2, 1]
