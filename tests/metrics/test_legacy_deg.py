"""The older identity angle by its descriptions: what each convention makes grey, shrinks, mirrors and counts."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from dmdnet.data.demo_faces import Identity, Shot, draw_face
from dmdnet.images import from_hwc, to_hwc
from dmdnet.metrics import MetricInput
from dmdnet.registry import METRICS


@pytest.fixture(scope="module")
def pictures():
    """Two pictures of a drawn person, of 512 pixels."""
    faces = [draw_face(Identity.sample(0, 0), Shot.sample(0, 0, shot), 512) for shot in (0, 1)]
    return torch.stack([from_hwc(face.image) for face in faces])


def build(convention):
    """Return the metric with a network that passes the grey pixels on: the angle is that of the pictures."""
    metric = METRICS.build(METRICS.component("LegacyDeg", convention=convention))
    metric.network = nn.Flatten()
    return metric


def angle(one, other):
    one, other = one.ravel().astype(np.float64), other.ravel().astype(np.float64)
    return math.acos(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_degrees_of_grey_pictures_and_their_mirror_images(pictures):
    grays = []
    for rgb in to_hwc(pictures):
        gray = cv2.resize(cv2.cvtColor(rgb[..., ::-1].copy(), cv2.COLOR_BGR2GRAY), (128, 128)).astype(np.float64)
        grays.append(np.concatenate([gray, gray[:, ::-1]]) / 127.5 - 1)
    expected = math.degrees(angle(*grays))
    for convention in ("gfpgan", "vqfr"):
        found = build(convention)(MetricInput(pictures[:1], pictures[1:]))
        assert found.item() == pytest.approx(expected, rel=1e-5)
    assert expected > 1


def test_radians_with_red_and_blue_exchanged(pictures):
    grays = []
    for rgb in to_hwc(pictures) / 127.5 - 1:
        wrong = rgb @ np.array([0.1140, 0.5870, 0.2989])
        # four pixels become one: without averaging, the two in the middle count
        middle = wrong.reshape(128, 4, 128, 4)[:, 1:3, :, 1:3]
        grays.append(middle.mean(axis=(1, 3)))
    found = build("restoreformer")(MetricInput(pictures[:1], pictures[1:]))
    assert found.item() == pytest.approx(angle(*grays), rel=1e-4)


def test_what_is_close_has_no_value_for_vqfr(pictures):
    near = pictures.clone()
    near[:, :, :4, :4] //= 2
    inputs = MetricInput(near, pictures)
    assert (build("gfpgan")(inputs) < 1).all()
    assert build("vqfr")(inputs).isnan().all()
    assert build("vqfr").undefined
    assert not build("gfpgan").undefined
    assert build("restoreformer")(MetricInput(pictures, pictures)).abs().max() < 1e-3


def test_names_say_that_they_are_of_old():
    recipes = [build(convention).recipe for convention in ("gfpgan", "vqfr", "restoreformer")]
    assert all(recipe.startswith("legacy_deg@") for recipe in recipes)
    assert ["degrees" in recipe for recipe in recipes] == [True, True, False]
    assert "radians" in recipes[2]
