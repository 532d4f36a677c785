"""Component boxes are those of the published landmarks, to the pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dmdnet.errors import DataError
from dmdnet.faces.component_boxes import component_boxes

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("name", ["component_boxes", "component_boxes_hard"])
def test_golden_boxes(name: str) -> None:
    golden = np.load(GOLDEN / f"{name}.npz")
    boxes = component_boxes(golden["landmarks"])
    assert boxes.dtype == np.int32
    np.testing.assert_array_equal(boxes, golden["boxes"])


@pytest.mark.parametrize("image_size", [64, 96, 256, 1024])
def test_other_sizes_scale_the_boxes_outward(image_size: int) -> None:
    golden = np.load(GOLDEN / "component_boxes.npz")
    scale = image_size / 512
    boxes = component_boxes(golden["landmarks"] * scale, image_size)
    exact = golden["boxes"] * scale
    np.testing.assert_array_equal(boxes[..., :2], np.floor(exact[..., :2]))
    np.testing.assert_array_equal(boxes[..., 2:], np.ceil(exact[..., 2:]))


def test_no_faces_give_no_boxes() -> None:
    assert component_boxes(np.zeros((0, 68, 2))).shape == (0, 4, 4)


@pytest.mark.parametrize("shape", [(68, 2), (1, 67, 2), (1, 68, 3)])
def test_wrong_shape_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"\(N, 68, 2\)"):
        component_boxes(np.zeros(shape))


def test_not_finite_is_named() -> None:
    with pytest.raises(DataError, match="NaN"):
        component_boxes(np.full((1, 68, 2), np.nan))
