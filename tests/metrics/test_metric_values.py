"""PSNR and SSIM against scikit-image, numbers worked out by hand, and the regions of the face."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dmdnet.errors import DataError
from dmdnet.metrics import gaussian
from dmdnet.metrics.base import MetricInput
from dmdnet.metrics.psnr import IDENTICAL_DB, PSNR
from dmdnet.metrics.regions import as_color, region_mask
from dmdnet.metrics.ssim import SSIM

# Ours is computed in float32
SSIM_TOLERANCE = 1e-6
BOXES = torch.tensor([[[8, 10, 20, 22], [28, 10, 41, 21], [18, 20, 30, 30], [15, 30, 35, 44]]], dtype=torch.int32)


def picture_pair(batch=3, height=52, width=60, seed=0):
    generator = np.random.Generator(np.random.Philox(seed))
    target = generator.integers(0, 256, (batch, 3, height, width))
    target[:, :, : height // 2] //= 4  # unlike halves, so that a wrong region shows
    pred = np.clip(target + generator.normal(0, 25, target.shape), 0, 255)
    return torch.from_numpy(pred.astype(np.uint8)), torch.from_numpy(target.astype(np.uint8))


def flat(value, height=40, width=48):
    return torch.full((1, 3, height, width), value, dtype=torch.uint8)


def luma(picture_chw):
    r, g, b = picture_chw.numpy().astype(np.float64)
    return (65.481 * r + 128.553 * g + 24.966 * b) / 255.0 + 16.0


def skimage_ssim(pred, target, **options):
    return structural_similarity(
        pred,
        target,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        **options,
    )


def box_pixels(height, width, rows, border=0):
    """The mask of region_mask, written as slices."""
    mask = np.zeros((height, width), dtype=bool)
    for row in rows:
        x0, y0, x1, y1 = BOXES[0, row].tolist()
        mask[y0:y1, x0:x1] = True
    inner = np.zeros_like(mask)
    inner[border : height - border, border : width - border] = True
    return mask & inner


def test_psnr_rgb_agrees_with_scikit_image():
    pred, target = picture_pair()
    expected = [
        peak_signal_noise_ratio(t.numpy(), p.numpy(), data_range=255) for p, t in zip(pred, target, strict=True)
    ]
    assert PSNR()(MetricInput(pred, target)).tolist() == pytest.approx(expected, abs=1e-9)


def test_psnr_y_with_border_agrees_with_scikit_image():
    pred, target = picture_pair()
    crop = np.s_[4:-4, 4:-4]
    expected = [
        peak_signal_noise_ratio(luma(t)[crop], luma(p)[crop], data_range=255) for p, t in zip(pred, target, strict=True)
    ]
    assert PSNR(color="y", crop_border=4)(MetricInput(pred, target)).tolist() == pytest.approx(expected, abs=1e-9)


def test_ssim_agrees_with_scikit_image():
    pred, target = picture_pair()
    rgb = [skimage_ssim(p.numpy(), t.numpy(), channel_axis=0) for p, t in zip(pred, target, strict=True)]
    grey = [skimage_ssim(luma(p), luma(t)) for p, t in zip(pred, target, strict=True)]
    assert SSIM()(MetricInput(pred, target)).tolist() == pytest.approx(rgb, abs=SSIM_TOLERANCE)
    assert SSIM(color="y")(MetricInput(pred, target)).tolist() == pytest.approx(grey, abs=SSIM_TOLERANCE)


@pytest.mark.parametrize(
    ("region", "rows"), [("components", (0, 1, 3)), ("left_eye", (0,)), ("right_eye", (1,)), ("mouth", (3,))]
)
def test_regions_agree_with_slices(region, rows):
    pred, target = picture_pair(batch=1)
    mask = box_pixels(52, 60, rows)
    error = (pred[0].numpy().astype(float) - target[0].numpy())[:, mask]
    assert PSNR(region=region)(MetricInput(pred, target, BOXES)).item() == pytest.approx(
        10 * math.log10(255**2 / np.mean(error**2)), abs=1e-9
    )
    _, full_map = skimage_ssim(pred[0].numpy(), target[0].numpy(), channel_axis=0, full=True)
    centres = box_pixels(52, 60, rows, border=5)
    assert SSIM(region=region)(MetricInput(pred, target, BOXES)).item() == pytest.approx(
        full_map[:, centres].mean(), abs=SSIM_TOLERANCE
    )


def test_psnr_by_hand():
    assert PSNR()(MetricInput(flat(100), flat(110))).item() == pytest.approx(10 * math.log10(255**2 / 100))
    assert PSNR()(MetricInput(flat(0), flat(255))).item() == pytest.approx(0.0)
    # ten grey levels are 10 * 219 / 255 levels of luma
    assert PSNR(color="y")(MetricInput(flat(100), flat(110))).item() == pytest.approx(
        10 * math.log10(255**2 / (10 * 219 / 255) ** 2)
    )


def test_luma_is_that_of_video():
    corners = torch.tensor([[0, 0, 0], [255, 255, 255], [255, 0, 0]], dtype=torch.uint8)[:, :, None, None]
    assert as_color(corners, "y").flatten().tolist() == pytest.approx([16.0, 235.0, 16 + 65.481])


def test_ssim_of_flat_pictures_by_hand():
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 110 + c1) / (100**2 + 110**2 + c1)
    assert SSIM()(MetricInput(flat(100), flat(110))).item() == pytest.approx(expected, abs=SSIM_TOLERANCE)


@pytest.mark.parametrize("base", [0, 3, 128, 250])
def test_ssim_of_nearly_flat_pictures_is_not_lost_in_float32(base):
    """Where nothing varies, variances are differences of large numbers that are nearly the same."""
    target = np.full((64, 64), base, np.uint8)
    target[::7, ::5] += 2
    pred = target.copy()
    pred[::3, ::4] += 1
    pictures = (torch.from_numpy(plane).expand(1, 3, 64, 64).contiguous() for plane in (pred, target))
    expected = skimage_ssim(pred, target)
    assert SSIM()(MetricInput(*pictures)).item() == pytest.approx(expected, abs=1e-5)


def test_ssim_of_a_picture_with_itself_is_1():
    pred, _ = picture_pair()
    assert SSIM()(MetricInput(pred, pred)).tolist() == [1.0] * len(pred)


def test_identical_pictures_score_the_cap_and_above_any_difference():
    pred = flat(128, 512, 512)
    nearly = pred.clone()
    nearly[0, 0, 0, 0] = 129
    assert PSNR()(MetricInput(pred, pred)).item() == IDENTICAL_DB
    assert PSNR()(MetricInput(nearly, pred)).item() < IDENTICAL_DB


def test_error_outside_the_region_does_not_count():
    target = flat(90, 52, 60)
    pred = target.clone()
    pred[:, :, 0:4] = 0
    pred[:, :, 45:] = 255  # below the mouth box
    assert PSNR(region="components")(MetricInput(pred, target, BOXES)).item() == IDENTICAL_DB
    assert PSNR()(MetricInput(pred, target)).item() < 20


def test_overlapping_boxes_count_a_pixel_once():
    boxes = BOXES.clone()
    boxes[0, 1] = boxes[0, 0]
    boxes[0, 3] = boxes[0, 0]
    pred, target = picture_pair(batch=1)
    assert torch.equal(
        PSNR(region="components")(MetricInput(pred, target, boxes)),
        PSNR(region="left_eye")(MetricInput(pred, target, boxes)),
    )


def test_a_border_that_leaves_nothing_is_refused():
    pred, target = picture_pair()
    with pytest.raises(DataError, match="nothing is left of a picture of 60x52 pixels inside a border of 26"):
        PSNR(crop_border=26)(MetricInput(pred, target))
    assert PSNR(crop_border=25)(MetricInput(pred, target)).isfinite().all()


def test_ssim_on_a_device_is_that_on_a_cpu():
    """Arrays go through OpenCV, tensors of a device through torch."""
    pred, target = picture_pair()
    on_device = gaussian._parts(pred.float(), target.float(), 255.0)
    for there, here in zip(on_device, gaussian.ssim_parts(pred, target), strict=True):
        torch.testing.assert_close(there, here, rtol=1e-5, atol=1e-5)


def test_empty_boxes_are_not_scored_and_partly_outside_ones_are_cut():
    pred, target = picture_pair(batch=2)
    boxes = BOXES.repeat(2, 1, 1)
    boxes[1, :] = 0  # nothing there
    assert PSNR(region="mouth")(MetricInput(pred, target, boxes)).isnan().tolist() == [False, True]
    assert SSIM(region="components")(MetricInput(pred, target, boxes)).isnan().tolist() == [False, True]
    outside = BOXES.clone()
    outside[0, 3] = torch.tensor([50, 40, 90, 90])
    inside = BOXES.clone()
    inside[0, 3] = torch.tensor([50, 40, 60, 52])
    metric = PSNR(region="mouth")
    assert torch.equal(
        metric(MetricInput(pred[:1], target[:1], outside)), metric(MetricInput(pred[:1], target[:1], inside))
    )


def test_components_use_the_boxes_that_are_there():
    pred, _ = picture_pair(batch=1)
    boxes = BOXES.clone()
    boxes[0, 1] = 0
    mask = region_mask("test", "components", boxes, pred)
    assert mask.sum().item() == 12 * 12 + 20 * 14


def test_a_picture_smaller_than_the_window_is_refused():
    with pytest.raises(DataError, match="smaller than 11x11"):
        SSIM()(MetricInput(flat(1, 10, 48), flat(1, 10, 48)))


def test_recipes_name_what_is_computed():
    assert PSNR().recipe == "psnr@rgb/uint8"
    assert PSNR(color="y", crop_border=4).recipe == "psnr@y/uint8/crop4"
    assert PSNR(region="components").recipe == "psnr@rgb/uint8/components"
    assert SSIM(color="y", region="mouth").recipe == "ssim@y/uint8/gauss11/mouth"
