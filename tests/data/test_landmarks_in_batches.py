"""Landmarks go with the pictures into the batch and to the metrics: exact, and NaN where nobody found them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_faces import write_celebref

from dmdnet.data.reference_face_dataset import ReferenceFaceDataset
from dmdnet.data.samples import collate
from dmdnet.data.sampling import Draw
from dmdnet.evaluation.scoring import metric_input
from dmdnet.faces import dlib_backend
from dmdnet.faces.landmarks import flip_landmarks
from dmdnet.registry import DATASETS

PEOPLE = {"00001": 3, "00002": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_celebref(tmp_path_factory.mktemp("celebref"), PEOPLE)


def build(root: Path, **options: object) -> ReferenceFaceDataset:
    layout = {"type": "CelebRefHQLayout", "dataroot_gt": str(root)}
    options = {"layout": layout, "image_size": 128, "num_references": 2, **options}
    return DATASETS.build(DATASETS.component("ReferenceFaceDataset", **options), seed=1, phase="train")


def test_they_are_those_of_the_files_at_the_size_of_the_picture(root: Path) -> None:
    sample = build(root)[0]
    written = np.loadtxt(root.parent / "landmarks" / "00001" / "1.png.txt")  # of 64 pixels
    assert sample.gt_landmarks.dtype == torch.float32
    np.testing.assert_allclose(sample.gt_landmarks, (written + 0.5) * 2 - 0.5, atol=1e-4)
    assert torch.equal(sample.lq_landmarks, sample.gt_landmarks)
    for name, landmarks in zip(sample.references.names, sample.references.landmarks, strict=True):
        written = np.loadtxt(root.parent / "landmarks" / f"{name}.txt")
        np.testing.assert_allclose(landmarks, (written + 0.5) * 2 - 0.5, atol=1e-4)


def test_they_are_mirrored_with_the_picture_and_never_jittered(root: Path) -> None:
    plain = build(root)
    dataset = build(root, use_hflip=True, box_jitter=0.1, landmark_noise=(2.0, 4.0))
    seen = set()
    for draw in range(8):
        one, other = plain[Draw(0, draw)], dataset[Draw(0, draw)]
        mirrored = not torch.equal(one.gt, other.gt)
        seen.add(mirrored)
        expected = one.gt_landmarks.numpy()
        expected = flip_landmarks(expected, 128) if mirrored else expected
        np.testing.assert_allclose(other.gt_landmarks, expected, atol=1e-4)
        np.testing.assert_allclose(other.lq_landmarks, expected, atol=1e-4)
    assert seen == {True, False}


def test_rows_without_a_reference_are_nan(root: Path) -> None:
    dataset = build(root)
    batch = collate([dataset[0], dataset[3]])  # the second person has no other picture
    assert batch.references.landmarks_BR682.shape == (2, 2, 68, 2)
    assert batch.references.landmarks_BR682[0].isfinite().all()
    assert batch.references.landmarks_BR682[1].isnan().all()
    assert torch.equal(batch.row(1).gt_landmarks_B682, batch.gt_landmarks_B682[1:])


def test_the_mean_face_is_nobodys_landmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlib_backend.DlibBackend, "detect", lambda self, rgb: [])
    root = write_celebref(tmp_path, PEOPLE, landmarks=False)
    sample = build(root, missing_landmarks="template")[0]
    assert sample.gt_landmarks.isnan().all()
    assert sample.lq_landmarks.isnan().all()
    assert sample.references.landmarks.isnan().all()
    assert (sample.gt_boxes[:, 2] > sample.gt_boxes[:, 0]).all()  # boxes are there all the same


def test_metrics_get_the_targets_or_those_of_the_degraded_picture(root: Path) -> None:
    dataset = build(root)
    batch = collate([dataset[0], dataset[3]])
    batch = replace(batch, lq_landmarks_B682=batch.gt_landmarks_B682 + 1)
    inputs = metric_input(batch, batch.lq_BCHW, {})
    assert inputs.landmarks_B682 is batch.gt_landmarks_B682
    assert inputs.references.landmarks_BR682 is batch.references.landmarks_BR682
    blind = replace(batch, gt_BCHW=None, gt_boxes_B44=None, gt_landmarks_B682=None)
    assert metric_input(blind, blind.lq_BCHW, {}).landmarks_B682 is batch.lq_landmarks_B682
