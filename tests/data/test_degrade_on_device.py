"""Degradations that the worker draws and the batch applies."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from made_faces import celebref_set, write_celebref

from dmdnet.config.options import DatasetOptions
from dmdnet.data.batch import FaceBatch
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.data.samples import collate
from dmdnet.data.sampling import Draw
from dmdnet.engine.pictures import first_faces
from dmdnet.errors import ConfigError, DataError
from dmdnet.models.face_tensors import face_tensors

PRESETS = ("gfpgan", "codeformer", "ffhq_ref_severe")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_celebref(tmp_path_factory.mktemp("celebref"), {"00001": 4, "00002": 2}, size=64)


def one(root: Path, **changes: object) -> dict:
    options = {
        "degradation": ({"type": "Preset", "name": "gfpgan"},),
        "num_references": 2,
        "use_hflip": True,
        "color_jitter": 0.3,
        "box_jitter": 0.05,
        **changes,
    }
    return celebref_set(root, **options)


def batches(options: dict, count: int, *, workers: int = 0, phase: str = "train", batch: int = 4) -> list[FaceBatch]:
    loading = {"name": "made", "batch_size_per_gpu": batch, "num_worker_per_gpu": workers}
    entry = DatasetOptions.model_validate({**loading, **options})
    dataset = build_dataset(entry, seed=3, phase=phase)
    return list(islice(build_loader(dataset, entry, phase=phase), count))


@pytest.mark.parametrize("preset", PRESETS)
def test_either_path_gives_the_same_picture(root: Path, preset: str) -> None:
    degradation = ({"type": "Preset", "name": preset},)
    by_worker = batches(one(root, degradation=degradation), 3)
    by_device = batches(one(root, degradation=degradation, degrade_on="device"), 3)
    for expected, pending in zip(by_worker, by_device, strict=True):
        assert pending.lq_BCHW.shape == (4, 3, 0, 0)  # nothing travels that is not there
        found = pending.degraded()
        assert found.pending == ()
        difference_B = (found.lq_BCHW.float() - expected.lq_BCHW.float()).abs().mean(dim=(1, 2, 3))
        assert difference_B.max() < 1.0
        assert (expected.lq_BCHW.float() - expected.gt_BCHW.float()).abs().mean() > 1.0
        assert torch.equal(found.gt_BCHW, expected.gt_BCHW)
        assert torch.equal(found.lq_boxes_B44, expected.lq_boxes_B44)
        assert torch.equal(found.references.images_BRCHW, expected.references.images_BRCHW)


def test_any_number_of_workers(root: Path) -> None:
    here, elsewhere = (batches(one(root, degrade_on="device"), 3, workers=count) for count in (0, 2))
    for a, b in zip(here, elsewhere, strict=True):
        assert [group.draws for group in a.pending] == [group.draws for group in b.pending]
        assert torch.equal(a.degraded().lq_BCHW, b.degraded().lq_BCHW)


def test_a_mixture_applies_to_each_picture_its_own_list(root: Path) -> None:
    def mixture(where: tuple[str, str, str]) -> dict:
        lists = ((), ({"type": "Preset", "name": "ffhq_ref_severe"},), ({"type": "Preset", "name": "gfpgan"},))
        sets = tuple(one(root, degrade_on=on, degradation=ops) for on, ops in zip(where, lists, strict=True))
        return {"type": "MixedDataset", "datasets": sets, "shares": (1.0, 1.0, 1.0)}

    for batch in batches(mixture(("device", "device", "device")), 4, batch=8):
        rows = sorted(row for group in batch.pending for row in group.rows)
        assert rows == list(range(8))
        assert 1 < len(batch.pending) <= 3
    expected = batches(mixture(("worker", "worker", "worker")), 4, batch=8)
    for where in (("device", "device", "device"), ("worker", "device", "worker"), ("device", "worker", "device")):
        for found, known in zip(batches(mixture(where), 4, batch=8), expected, strict=True):
            difference_B = (found.degraded().lq_BCHW.float() - known.lq_BCHW.float()).abs().mean(dim=(1, 2, 3))
            assert difference_B.max() < 1.0


def test_rows_take_what_is_pending_of_them(root: Path) -> None:
    (batch,) = batches(one(root, degrade_on="device"), 1, batch=6)
    whole = batch.degraded().lq_BCHW
    for chosen in (slice(2), slice(1, 4), slice(5, 6), slice(0, 6, 2)):
        part = batch.rows(chosen)
        assert torch.equal(part.degraded().lq_BCHW, whole[chosen])
    assert torch.equal(batch.row(3).degraded().lq_BCHW, whole[3:4])
    assert batch.rows(slice(0, 0)).pending == ()
    assert first_faces(batch).lq_BCHW.shape == (4, 3, 64, 64)


def test_the_batch_is_left_as_it_is_and_a_whole_one_is_itself(root: Path) -> None:
    dataset = build_dataset(DatasetOptions.model_validate({"name": "m", **one(root, degrade_on="device")}), seed=0,
                            phase="train")  # fmt: skip
    ready = build_dataset(DatasetOptions.model_validate({"name": "m", **one(root)}), seed=0, phase="train")
    mixed = collate([ready[Draw(0, 0)], dataset[Draw(1, 1)]])
    assert not mixed.lq_BCHW[1].any()
    before = mixed.lq_BCHW.clone()
    mixed.degraded()
    assert torch.equal(mixed.lq_BCHW, before)
    whole = collate([ready[Draw(0, 0)]])
    assert whole.degraded() is whole


def test_training_takes_it_from_the_device(root: Path) -> None:
    (batch,) = batches(one(root, degrade_on="device"), 1)
    faces = face_tensors(batch, torch.device("cpu"))
    assert torch.equal(faces.lq_BCHW, batch.degraded().lq_BCHW / 127.5 - 1.0)


def test_tests_are_always_degraded_by_the_worker(root: Path) -> None:
    by_worker, by_device = (batches(one(root, degrade_on=on), 1, phase="test") for on in ("worker", "device"))
    assert by_device[0].pending == ()
    assert torch.equal(by_device[0].lq_BCHW, by_worker[0].lq_BCHW)


def test_a_list_that_does_not_come_back_to_size_is_named(root: Path) -> None:
    small = ({"type": "Downsample", "scale": (2.0, 2.0)},)
    (batch,) = batches(one(root, degrade_on="device", degradation=small), 1)
    with pytest.raises(ConfigError, match=r"has 32 x 32 pixels, the sharp one 64 x 64; end the list .*ResizeBack"):
        batch.degraded()
    (batch,) = batches(one(root, degrade_on="device", degradation=({"type": "Downsample", "scale": (2.0, 4.0)},)), 1)
    with pytest.raises((ConfigError, DataError), match="ResizeBack"):
        batch.degraded()
