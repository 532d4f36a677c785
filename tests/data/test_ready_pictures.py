"""Sets with ready degraded pictures, and sets of degraded pictures alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_faces import mean_landmarks, picture
from made_tables import drawn_rows, on_disk

from dmdnet.data.layouts.celebref_hq import CelebRefHQLayout
from dmdnet.data.manifest import Row
from dmdnet.data.reference_face_dataset import ReferenceFaceDataset
from dmdnet.data.samples import collate
from dmdnet.data.sampling import Draw
from dmdnet.errors import BoxError, ConfigError, DataError
from dmdnet.evaluation.reports.sheet import comparison_sheet
from dmdnet.evaluation.runner import evaluate
from dmdnet.faces.backend import Face
from dmdnet.faces.template import template_landmarks
from dmdnet.images import to_float, write_image
from dmdnet.registry import DATASETS, METRICS

SIZE = 64
Build = Callable[..., ReferenceFaceDataset]


class FakeBackend:
    """Finds the same landmarks in every picture, or nothing."""

    def __init__(self) -> None:
        self.landmarks: np.ndarray | None = mean_landmarks(SIZE) + 2.0
        self.asked = 0

    def detect(self, rgb: np.ndarray) -> list[Face]:
        self.asked += 1
        return [] if self.landmarks is None else [Face((8, 8, 56, 56), self.landmarks, 1.0)]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    backend = FakeBackend()
    for module in ("dmdnet.data.degraded_faces", "dmdnet.data.made_landmarks"):
        monkeypatch.setattr(f"{module}.get_backend", lambda name: backend)
    return backend


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    """Two people with two pictures each, and the ready degraded picture of each, at half the size."""
    (tmp_path / "lq").mkdir()
    found = []
    for number, row in enumerate(drawn_rows(tmp_path, {"a": 2, "b": 2})):
        write_image(tmp_path / "lq" / f"{number}.png", picture(900 + number, SIZE // 2))
        found.append(replace(row, degraded=f"lq/{number}.png"))
    return found


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    def made(rows: list[Row], *, phase: str = "test", **options: object) -> ReferenceFaceDataset:
        monkeypatch.setattr(CelebRefHQLayout, "manifest", lambda self: on_disk(tmp_path, rows))
        component = DATASETS.component(
            "ReferenceFaceDataset",
            **{"layout": {"type": "CelebRefHQLayout", "dataroot_gt": "unused"}, "image_size": SIZE, **options},
        )
        return DATASETS.build(component, seed=1, phase=phase)

    return made


class TestReadyPictures:
    def test_are_taken_as_they_lie(self, build: Build, rows: list[Row], fake: FakeBackend) -> None:
        sample = build(rows)[1]
        assert sample.lq.shape == sample.gt.shape == (3, SIZE, SIZE)  # resized to the set's size
        assert not torch.equal(sample.lq, build(rows)[0].lq)
        assert torch.equal(sample.lq_boxes, sample.gt_boxes)
        assert sample.references.names == ("a/1.png",)
        assert fake.asked == 0  # the target's landmarks serve, nothing is looked for

    def test_colours_stay_and_mirroring_is_common(self, build: Build, rows: list[Row]) -> None:
        plain = build(rows, phase="train")[Draw(0, 0)]
        dataset = build(rows, phase="train", color_jitter=0.5, use_hflip=True)
        samples = [dataset[Draw(0, draw)] for draw in range(12)]
        mirrored = [torch.equal(sample.gt, plain.gt.flip(-1)) for sample in samples]
        assert 0 < sum(mirrored) < 12
        for sample, flip in zip(samples, mirrored, strict=True):
            assert torch.equal(sample.gt, plain.gt.flip(-1) if flip else plain.gt)
            assert torch.equal(sample.lq, plain.lq.flip(-1) if flip else plain.lq)

    def test_boxes_may_be_found_on_them(self, build: Build, rows: list[Row], fake: FakeBackend) -> None:
        fake.landmarks = mean_landmarks(SIZE // 2) + 2.0
        sample = build(rows, lq_landmarks="found")[0]
        moved = (sample.lq_boxes - sample.gt_boxes).float().mean(dim=0)
        assert ((moved - 4.0).abs() < 1.5).all()  # two pixels of half the size
        assert fake.asked == 1

    def test_a_list_that_would_change_nothing_is_refused(self, build: Build, rows: list[Row]) -> None:
        with pytest.raises(ConfigError, match=r"degradation: .* ready degraded picture of every face"):
            build(rows, degradation=({"type": "Preset", "name": "gfpgan"},))

    def test_the_list_serves_those_without(self, build: Build, rows: list[Row]) -> None:
        some = [rows[0], replace(rows[1], degraded=""), *rows[2:]]
        dataset = build(some, degradation=({"type": "Preset", "name": "gfpgan"},))
        ready = build(rows)
        assert torch.equal(dataset[0].lq, ready[0].lq)
        assert not torch.equal(dataset[1].lq, ready[1].lq)
        assert not torch.equal(dataset[1].lq, dataset[1].gt)


class TestLandmarksOnMadePictures:
    DEGRADATION = ({"type": "Preset", "name": "gfpgan"},)

    def dataset(self, build: Build, rows: list[Row], **options: object) -> ReferenceFaceDataset:
        made = [replace(row, degraded="") for row in rows]
        return build(made, degradation=self.DEGRADATION, lq_landmarks="found", **options)

    def test_are_found(self, build: Build, rows: list[Row], fake: FakeBackend) -> None:
        sample = self.dataset(build, rows)[0]
        assert ((sample.lq_boxes - sample.gt_boxes).float().mean(dim=0) - 2.0).abs().max() < 1.5
        plain = build([replace(row, degraded="") for row in rows], degradation=self.DEGRADATION)[0]
        assert torch.equal(sample.lq, plain.lq)

    def test_a_face_that_is_not_found(self, build: Build, rows: list[Row], fake: FakeBackend) -> None:
        fake.landmarks = None
        with pytest.raises(DataError, match=r"a/1\.png: no landmarks are found.*missing_landmarks: template"):
            self.dataset(build, rows, phase="train")[0]
        tested = self.dataset(build, rows)[0]
        assert tested.fault.kind == "no_face"
        assert not tested.lq_boxes.any()
        assert tested.gt_boxes.any()  # the sharp picture's are there for metrics
        assert tested.lq_landmarks.isnan().all()
        sample = self.dataset(build, rows, missing_landmarks="template")[0]
        expected = build([replace(rows[0], degraded="", landmarks=template_landmarks(SIZE).astype("f4"))])[0]
        assert torch.equal(sample.lq_boxes, expected.gt_boxes)

    def test_landmarks_that_no_network_can_take(self, build: Build, rows: list[Row], fake: FakeBackend) -> None:
        fake.landmarks = mean_landmarks(SIZE) * 0.1
        with pytest.raises(BoxError, match=r"a/1\.png"):
            self.dataset(build, rows, phase="train")[0]
        assert self.dataset(build, rows)[0].fault.kind == "bad_landmarks"
        self.dataset(build, rows, missing_landmarks="template")[0]

    def test_not_where_the_picture_is_made_on_the_device(self, build: Build, rows: list[Row]) -> None:
        with pytest.raises(ConfigError, match="degrade_on: worker"):
            self.dataset(build, rows, degrade_on="device", phase="train")


class TestWithoutGroundTruth:
    @pytest.fixture
    def alone(self, rows: list[Row]) -> list[Row]:
        points = mean_landmarks(SIZE // 2).astype("float32")
        return [replace(row, picture="", landmarks=points) for row in rows]

    def test_samples_and_batches(self, build: Build, alone: list[Row]) -> None:
        dataset = build(alone)
        sample = dataset[0]
        assert sample.gt is None
        assert sample.gt_boxes is None
        assert len(sample.references) == 0  # degraded pictures are nobody's references
        batch = collate([dataset[number] for number in range(4)])
        assert batch.gt_BCHW is None
        assert batch.lq_BCHW.shape == (4, 3, SIZE, SIZE)
        assert len(batch.rows(slice(2))) == 2

    def test_references_may_be_sharp_pictures_of_others_rows(self, build: Build, rows: list[Row]) -> None:
        points = mean_landmarks(SIZE // 2).astype("float32")
        mixed = [
            replace(row, picture="", landmarks=points) if row.name.endswith("1.png") else
            replace(row, degraded="", is_target=False) for row in rows
        ]  # fmt: skip
        dataset = build(mixed)
        assert [sample.name for sample in (dataset[0], dataset[1])] == ["a/1.png", "b/1.png"]
        assert dataset[0].references.names == ("a/2.png",)

    def test_are_evaluated(self, build: Build, alone: list[Row], tmp_path: Path) -> None:
        dataset = build(alone)
        batches = [collate([dataset[0], dataset[1], dataset[2]]), collate([dataset[3]])]
        metrics = {name: METRICS.build(METRICS.component(kind)) for name, kind in (("psnr", "PSNR"),)}
        found = evaluate(
            lambda batch, modes: {mode: to_float(batch.lq_BCHW) for mode in modes},
            batches, metrics=metrics, modes=("input", "generic", "specific"), set_name="wild", out_dir=tmp_path,
            save_images=True, sheet_rows=2,
        )  # fmt: skip
        assert found.methods == ("input", "generic")
        assert len(found.of_method("generic")) == 4
        assert np.isnan(found.mean("generic", "psnr"))
        assert found.means() == {}
        assert (tmp_path / "wild" / "generic").is_dir()
        assert comparison_sheet(found.samples, found.metrics).ndim == 3

    def test_training_is_refused(self, build: Build, alone: list[Row]) -> None:
        with pytest.raises(ConfigError, match="no sharp pictures to train towards"):
            build(alone, phase="train")

    def test_some_with_and_some_without_are_two_sets(self, build: Build, alone: list[Row], rows: list[Row]) -> None:
        with pytest.raises(DataError, match=r"2 of 4 faces have no ground truth, the first is a/1\.png"):
            build([*alone[:2], *rows[2:]])

    def test_a_row_without_any_picture(self, build: Build, rows: list[Row]) -> None:
        with pytest.raises(DataError, match=r"a/1\.png has neither"):
            build([replace(rows[0], picture="", degraded=""), *rows[1:]])


def test_a_floor_that_leaves_no_reference_is_told(build: Build, rows: list[Row]) -> None:
    blurred = [replace(row, sharpness=2.0) for row in rows]
    with pytest.raises(DataError, match=r"good enough.*min_sharpness"):
        build(blurred, min_sharpness=3.0)
    assert build(blurred, min_sharpness=3.0, num_references=0)[0].references is None


def test_pose_order_without_poses_uses_the_landmarks(build: Build, rows: list[Row]) -> None:
    turned = [replace(row, degraded="", identity="a", landmarks=_turned(angle)) for row, angle in
              zip(rows, (0.0, 20.0, 4.0, -9.0), strict=True)]  # fmt: skip
    dataset = build(turned, reference_order="pose", num_references="all")
    assert dataset[0].references.names == ("b/1.png", "b/2.png", "a/2.png")
    known = [replace(row, pose=(yaw, 0.0, 0.0)) for row, yaw in zip(turned, (0, 1, 2, 3), strict=True)]
    assert build(known, reference_order="pose", num_references="all")[0].references.names[0] == "a/2.png"


def _turned(degrees: float) -> np.ndarray:
    """Landmarks of a head rolled clockwise about the middle of the picture."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ((mean_landmarks(SIZE) - SIZE / 2) @ turn + SIZE / 2).astype("float32")
