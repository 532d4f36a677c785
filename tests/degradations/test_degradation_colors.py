"""Colour changes do to known colours what their names say."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
import pytest

from dmdnet.degradations.base import to_uint8
from dmdnet.degradations.color import LUMA, ColorDraw, ColorJitter, Grayscale
from dmdnet.errors import ConfigError

NOTHING = {
    "brightness": 1.0,
    "contrast": 1.0,
    "saturation": 1.0,
    "hue": 0.0,
    "shift_red": 0.0,
    "shift_green": 0.0,
    "shift_blue": 0.0,
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(40, 200, (32, 40, 3), dtype=np.uint8)


def changed(image: np.ndarray, **numbers: float) -> np.ndarray:
    return ColorJitter().apply(image, ColorDraw(**{**NOTHING, **numbers}))


def test_nothing_changes_nothing() -> None:
    np.testing.assert_array_equal(to_uint8(changed(picture())), picture())


def test_brightness_multiplies() -> None:
    np.testing.assert_allclose(changed(picture(), brightness=0.7), picture() * 0.7, atol=1e-3)
    assert changed(picture(), brightness=3.0).max() == 255


def test_contrast_keeps_the_mean_grey() -> None:
    image = picture()
    result = changed(image, contrast=0.5)
    assert (result @ LUMA).mean() == pytest.approx((image @ LUMA).mean(), abs=0.01)
    assert result.std() == pytest.approx(0.5 * image.std(), rel=0.02)


def test_saturation_keeps_each_luma() -> None:
    image = picture()
    result = changed(image, saturation=0.3)
    np.testing.assert_allclose(result @ LUMA, image @ LUMA, atol=0.01)
    assert np.ptp(result, axis=2).mean() == pytest.approx(0.3 * np.ptp(image.astype(float), axis=2).mean(), rel=1e-3)


@pytest.mark.parametrize("degrees", [-30, 20, 60])
def test_hue_turns_colours_and_leaves_greys(degrees: int) -> None:
    image = np.array([[[150, 110, 110], [110, 150, 110], [110, 110, 150], [90, 90, 90]]], np.uint8)
    result = changed(image, hue=np.radians(degrees))
    np.testing.assert_allclose(result @ LUMA, image @ LUMA, atol=0.05)
    np.testing.assert_allclose(result[0, 3], 90, atol=0.05)
    turns = [
        (colorsys.rgb_to_hsv(*after)[0] - colorsys.rgb_to_hsv(*before)[0]) * 360
        for before, after in zip(image[0, :3] / 255, result[0, :3] / 255, strict=True)
    ]
    turns = [(turn + 180) % 360 - 180 for turn in turns]
    # the angle in the chroma plane is not quite HSV's; all colours turn one way and about as far
    assert abs(abs(np.mean(turns)) - abs(degrees)) < 8
    assert len({np.sign(turn) for turn in turns}) == 1


def test_a_cast_shifts_each_channel() -> None:
    result = changed(picture(), shift_red=12.0, shift_green=-7.0)
    np.testing.assert_allclose(result - picture(), np.broadcast_to([12.0, -7.0, 0.0], result.shape), atol=1e-3)


def test_casts_fill_their_range_in_each_channel_alone() -> None:
    op, generator = ColorJitter(shift=20.0), rng()
    draws = [op.draw(generator, (8, 8)) for _ in range(1000)]
    shifts = np.array([[draw.shift_red, draw.shift_green, draw.shift_blue] for draw in draws])
    np.testing.assert_allclose(shifts.min(axis=0), -20, atol=0.3)
    np.testing.assert_allclose(shifts.max(axis=0), 20, atol=0.3)
    assert np.abs(np.corrcoef(shifts.T) - np.eye(3)).max() < 0.1
    assert {(draw.brightness, draw.contrast, draw.saturation, draw.hue) for draw in draws} == {(1.0, 1.0, 1.0, 0.0)}


def test_grey_is_opencvs_grey_in_three_channels() -> None:
    op = Grayscale()
    result = to_uint8(op.apply(picture(), op.draw(rng(), (8, 8))))
    expected = cv2.cvtColor(picture(), cv2.COLOR_RGB2GRAY)
    assert np.ptp(result, axis=2).max() == 0
    assert np.abs(result[..., 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    "options",
    [{"brightness": (-0.1, 1.0)}, {"hue": (0.0, 200.0)}, {"contrast": (2.0, 1.0)}, {"saturation": (0.0, 1e39)}],
)
def test_refuses_impossible_ranges(options: dict) -> None:
    with pytest.raises(ConfigError, match="ColorJitter"):
        ColorJitter(**options)
