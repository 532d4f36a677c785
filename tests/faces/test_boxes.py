from __future__ import annotations

import numpy as np
import pytest

from dmdnet.errors import BoxError
from dmdnet.faces.boxes import box_defects, check_boxes, clip_boxes

GOOD = np.array([[100, 150, 180, 230], [300, 150, 380, 230], [200, 200, 300, 300], [190, 320, 320, 450]], np.int32)


def with_box(index, box):
    boxes = GOOD.copy()
    boxes[index] = box
    return boxes


def test_good_boxes_pass_unchanged():
    assert check_boxes(GOOD, 512).dtype == np.int32
    np.testing.assert_array_equal(check_boxes(GOOD.astype(np.int64), 512), GOOD)


@pytest.mark.parametrize(
    ("index", "box", "message"),
    [
        (0, (-1, 150, 80, 230), "left_eye: box .* reaches outside the 512 x 512 picture"),
        (1, (450, 150, 513, 230), "right_eye: box .* reaches outside"),
        (3, (190, 320, 190, 450), "mouth: box .* is empty"),
        (3, (320, 320, 190, 450), "mouth: box .* is empty"),
        (0, (100, 150, 103, 230), "left_eye: box .* too small"),  # 12..12 at an eighth
        (1, (300, 152, 380, 159), "right_eye: box .* too small"),
    ],
)
def test_a_bad_box_is_named(index, box, message):
    with pytest.raises(BoxError, match=f"sample 7: {message}"):
        check_boxes(with_box(index, box), 512, "sample 7")


def test_every_bad_component_is_named():
    boxes = with_box(0, (0, 0, 0, 0))
    boxes[3] = (1, 1, 2, 2)
    assert set(box_defects(boxes, 512)) == {"left_eye", "mouth"}


def test_one_pixel_at_an_eighth_is_enough_and_the_nose_is_not_read():
    assert box_defects(with_box(0, (103, 150, 104, 230)), 512) == {}  # 12..13 at an eighth
    assert box_defects(with_box(2, (-50, 0, -60, 0)), 512) == {}


@pytest.mark.parametrize("boxes", [GOOD[:3], GOOD.astype(float), GOOD[None], [[1, 2], [3, 4]]])
def test_wrong_shapes_and_types(boxes):
    with pytest.raises(BoxError, match=r"integers \(4, 4\)"):
        check_boxes(boxes, 512)


def test_clip():
    clipped = clip_boxes(np.stack([with_box(0, (-9, -8, 80, 90)), with_box(1, (600, 600, 700, 513))]), 512)
    assert clipped.dtype == np.int32
    assert clipped[0, 0].tolist() == [0, 0, 80, 90]
    assert clipped[1, 1].tolist() == [512, 512, 512, 512]
    np.testing.assert_array_equal(clipped[:, 2:], np.stack([GOOD, GOOD])[:, 2:])
