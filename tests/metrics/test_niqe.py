"""NIQE against BasicSR's, and its parts against numbers worked out another way."""

import importlib.util
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy.stats import gennorm
from skimage.data import astronaut, chelsea, coffee

from dmdnet.basicsr_bridge import components
from dmdnet.errors import WeightsError
from dmdnet.images import from_hwc
from dmdnet.metrics import MetricInput
from dmdnet.metrics.niqe import NIQE
from dmdnet.metrics.niqe_features import asymmetric_fit, block_features, half_size
from dmdnet.weights import WEIGHTS

needs_basicsr = pytest.mark.skipif(importlib.util.find_spec("basicsr") is None, reason="BasicSR is not installed")


def noisy(photo):
    noise = np.random.Generator(np.random.Philox(0)).normal(0, 20, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


PHOTOS = {
    "sharp": astronaut,
    "blurred": lambda: cv2.GaussianBlur(astronaut(), (0, 0), 2),
    "noisy": lambda: noisy(astronaut()),
    "not square": coffee,
    "odd sizes": lambda: np.ascontiguousarray(chelsea()[:299, :451]),
}


def score(photo, **options):
    metric = NIQE(**options)
    metric.prepare(None)
    return metric(MetricInput(from_hwc(photo)[None])).item()


@needs_basicsr
@pytest.mark.parametrize("photo", list(PHOTOS))
@pytest.mark.parametrize("crop", [0, 4])
def test_the_value_is_basicsrs(photo, crop):
    """BasicSR halves the picture in float32, hence not to more digits."""
    picture = PHOTOS[photo]()
    theirs = components("metric", "METRIC_REGISTRY", "basicsr.metrics")["calculate_niqe"]
    bgr = np.ascontiguousarray(picture[..., ::-1])
    expected = theirs(bgr, crop_border=crop, input_order="HWC", convert_to="y")
    assert score(picture, crop_border=crop) == pytest.approx(float(expected), rel=1e-3)


@needs_basicsr
def test_damage_is_worse():
    sharp, blurred, rough = (score(PHOTOS[name]()) for name in ("sharp", "blurred", "noisy"))
    assert sharp < 5 < min(blurred, rough)


@pytest.mark.parametrize("shape", [0.6, 1.0, 2.0, 3.5])
def test_the_fit_finds_the_shape_and_both_scales_that_numbers_were_drawn_with(shape):
    drawn = gennorm.rvs(shape, size=(2, 400, 400), random_state=1)
    left, right = 3.0, 1.5
    lopsided = np.where(np.random.default_rng(0).random(drawn.shape) < left / (left + right), -left, right)
    found = asymmetric_fit(np.abs(drawn) * lopsided)
    for values, expected in zip(found, (shape, left, right), strict=True):
        assert values == pytest.approx([expected] * 2, rel=0.05)


def test_half_size_is_the_widened_bicubic_of_torch_inside():
    photo = astronaut()[..., 0].astype(np.float64)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(photo)[None, None], scale_factor=0.5, mode="bicubic", antialias=True
    )[0, 0].numpy()
    assert np.abs(half_size(photo) - theirs)[2:-2, 2:-2].max() < 1e-6
    assert half_size(np.full((8, 12), 7.0)) == pytest.approx(np.full((4, 6), 7.0))


@needs_basicsr
def test_blocks_that_are_flat_do_not_count_and_a_flat_picture_has_no_value():
    photo = astronaut()
    photo[:96, :96] = 0
    features = block_features(photo.mean(axis=2))
    assert features.shape == (25, 36)
    assert np.isnan(features).any(axis=1).sum() == 1
    assert np.isfinite(score(photo))
    assert np.isnan(score(np.full((256, 256, 3), 90, np.uint8)))


@needs_basicsr
def test_pictures_of_a_batch_are_scored_one_by_one():
    metric = NIQE()
    metric.prepare(None)
    batch = torch.stack([from_hwc(astronaut()), from_hwc(noisy(astronaut()))])
    assert metric(MetricInput(batch)).tolist() == [score(astronaut()), score(noisy(astronaut()))]


def test_without_basicsr_the_statistics_come_from_the_weights_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"niqe_pris_params.npz is missing; .*https://"):
        NIQE().prepare(str(tmp_path))
    monkeypatch.setitem(WEIGHTS, "niqe_pristine", replace(WEIGHTS["niqe_pristine"], sha256=None))
    path = tmp_path / "niqe_pris_params.npz"
    np.savez(path, mu_pris_param=np.zeros((1, 36)), cov_pris_param=np.eye(36))
    NIQE().prepare(str(tmp_path))
    np.savez(path, mu_pris_param=np.zeros((1, 4)), cov_pris_param=np.eye(4))
    with pytest.raises(WeightsError, match="not NIQE's pristine statistics"):
        NIQE().prepare(str(tmp_path))
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsError, match="not NIQE's pristine statistics"):
        NIQE().prepare(str(tmp_path))
