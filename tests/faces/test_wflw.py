from __future__ import annotations

import numpy as np
import pytest

from dmdnet.errors import DataError
from dmdnet.faces.landmarks import FLIP_68
from dmdnet.faces.template import TEMPLATE_68
from dmdnet.faces.wflw import wflw_to_68

# point i of a mirrored face is point FLIP_98[i] of the face
FLIP_98 = np.array(
    [
        *range(32, -1, -1),
        *(46, 45, 44, 43, 42, 50, 49, 48, 47),
        *(37, 36, 35, 34, 33, 41, 40, 39, 38),
        *(51, 52, 53, 54),
        *(59, 58, 57, 56, 55),
        *(72, 71, 70, 69, 68, 75, 74, 73),
        *(64, 63, 62, 61, 60, 67, 66, 65),
        *(82, 81, 80, 79, 78, 77, 76, 87, 86, 85, 84, 83),
        *(92, 91, 90, 89, 88, 95, 94, 93),
        *(97, 96),
    ]
)


def mean_face_in_wflw() -> np.ndarray:
    """Return 98 points of the template's face: what 68 points do not have is put half-way between neighbours."""
    face = TEMPLATE_68
    points = np.full((98, 2), np.nan)
    points[0:33:2] = face[:17]
    points[1:32:2] = (face[:16] + face[1:17]) / 2
    thick = np.array([0.0, 0.01])
    for line, upper, lower in (
        (range(17, 22), (33, 34, 35, 36, 37), (None, 41, 40, 39, 38)),
        (range(22, 27), (42, 43, 44, 45, 46), (50, 49, 48, 47, None)),
    ):
        for own, above, below in zip(line, upper, lower, strict=True):
            points[above] = face[own] - (0 if below is None else thick)
            if below is not None:
                points[below] = face[own] + thick
    points[51:60] = face[27:36]
    for start, eye in ((60, face[36:42]), (68, face[42:48])):
        corner, first, second, other, third, fourth = eye
        points[start : start + 8] = [
            corner, first, (first + second) / 2, second, other, third, (third + fourth) / 2, fourth
        ]  # fmt: skip
        points[96 + (start == 68)] = eye.mean(axis=0)
    points[76:96] = face[48:68]
    return points


def test_the_mean_face_comes_back():
    np.testing.assert_allclose(wflw_to_68(mean_face_in_wflw()), TEMPLATE_68, atol=1e-12)


def test_both_orders_mirror_alike():
    assert sorted(FLIP_98) == list(range(98))
    points = np.random.default_rng(0).random((98, 2))
    np.testing.assert_allclose(wflw_to_68(points[FLIP_98]), wflw_to_68(points)[FLIP_68], atol=1e-12)


def test_other_shapes_are_refused():
    with pytest.raises(DataError, match=r"\(68, 2\), \(98, 2\) is needed"):
        wflw_to_68(np.zeros((68, 2)))
