"""Landmark distance: a moved face is as far as it was moved, and nothing that the detector does counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch

from dmdnet.faces.align import align_face
from dmdnet.faces.backend import Face, find_face, get_backend
from dmdnet.faces.dlib_backend import DlibBackend
from dmdnet.faces.template import face_box_of, template_face_box, template_landmarks
from dmdnet.images import from_hwc
from dmdnet.metrics import MetricInput
from dmdnet.registry import METRICS

SIZE = 256
MOVED = (4, 3)  # right, down: five pixels


@pytest.fixture(scope="module")
def inputs():
    """A real face: as it is, and moved."""
    astronaut = skimage.data.astronaut()
    face = align_face(astronaut, find_face(get_backend(), astronaut).landmarks, SIZE)
    target = from_hwc(face.image)
    moved = torch.roll(target, (MOVED[1], MOVED[0]), dims=(1, 2))
    landmarks = torch.from_numpy(face.landmarks).float().expand(2, -1, -1)
    return MetricInput(torch.stack([target, moved]), target.expand(2, -1, -1, -1), None, landmarks)


def build(**options):
    metric = METRICS.build(METRICS.component("LandmarkDistance", **options))
    metric.prepare(None)
    return metric


def test_a_moved_face_is_as_far_as_it_was_moved(inputs):
    found = build()(inputs)
    assert found[0] == 0
    assert found[1].item() == pytest.approx(5, abs=0.6)


def test_the_distance_of_the_eyes_as_unit(inputs):
    pixels, shares = build()(inputs), build(unit="outer_eyes")(inputs)
    eyes = inputs.landmarks_B682[1, 45] - inputs.landmarks_B682[1, 36]
    assert (pixels / shares)[1].item() == pytest.approx(eyes.norm().item(), rel=0.05)


def test_it_is_the_mean_over_landmarks_of_the_back_end(inputs):
    backend, box = get_backend(), face_box_of(inputs.landmarks_B682[0].double().numpy())
    points = [backend.landmarks_in(picture.permute(1, 2, 0).contiguous().numpy(), box) for picture in inputs.pred_BCHW]
    expected = np.linalg.norm(points[1] - points[0], axis=1).mean()
    assert build()(inputs)[1].item() == pytest.approx(expected, rel=1e-5)


def test_only_a_search_can_fail(inputs, monkeypatch):
    original = DlibBackend.detect
    monkeypatch.setattr(DlibBackend, "detect", lambda self, rgb: [] if rgb.std() < 1 else original(self, rgb))
    blank = inputs.pred_BCHW.clone()
    blank[1] = 90
    inputs = replace(inputs, pred_BCHW=blank, pred_memo={}, target_memo={})
    assert build()(inputs).isfinite().all()
    metric = build(box="found")
    assert metric(inputs).isnan().tolist() == [False, True]
    assert metric(inputs)[0] == 0
    assert "no face is found" in metric.undefined


def test_unknown_landmarks_give_no_value(inputs):
    landmarks = inputs.landmarks_B682.clone()
    landmarks[0] = torch.nan
    landmarks[1] += 5000
    assert build()(replace(inputs, landmarks_B682=landmarks, pred_memo={}, target_memo={})).isnan().all()


def test_faces_are_looked_for_once(inputs, monkeypatch):
    calls = []

    def detect(self, rgb):
        calls.append(rgb)
        return [Face((0, 0, 9, 9), inputs.landmarks_B682[0].double().numpy(), 1.0)]

    monkeypatch.setattr(DlibBackend, "detect", detect)
    inputs = replace(inputs, pred_memo={}, target_memo={})
    for options in ({"box": "found"}, {"box": "found", "unit": "outer_eyes"}):
        assert build(**options)(inputs).tolist() == [0, 0]
    assert len(calls) == 4
    identity = METRICS.build(METRICS.component("DlibIdentityDistance", landmarks="found"))
    assert identity(inputs)[0] == 0
    assert len(calls) == 4


@pytest.mark.parametrize("size", [128, 512])
def test_the_box_of_aligned_landmarks_is_that_of_aligned_faces(size):
    assert np.abs(np.subtract(face_box_of(template_landmarks(size)), template_face_box(size))).max() <= 1
    moved = face_box_of(template_landmarks(size) * 0.5 + (20, 10))
    assert np.abs(np.subtract(moved, np.array(template_face_box(size)) * 0.5 + (20, 10, 20, 10))).max() <= 1
    x0, y0, x1, y1 = face_box_of(np.zeros((68, 2)))
    assert x1 > x0
    assert y1 > y0
