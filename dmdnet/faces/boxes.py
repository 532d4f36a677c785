"""Component boxes at the data boundary: a network never sees one that is empty or outside the picture.

Boxes are integer x0 y0 x1 y1 in pixels of the network's input (x1 y1 exclusive), in the order of COMPONENTS.
The network floor-divides them by 2, 4 and 8; the nose box is carried and never read.
"""

from __future__ import annotations

import numpy as np

from dmdnet.errors import BoxError

COMPONENTS = ("left_eye", "right_eye", "nose", "mouth")
USED_COMPONENTS = (0, 1, 3)
COARSEST_STRIDE = 8


def clip_boxes(boxes: np.ndarray, image_size: int) -> np.ndarray:
    """Return boxes (..., 4, 4) limited to a picture of `image_size` x `image_size` pixels, int32."""
    return np.clip(boxes, 0, image_size).astype(np.int32)


def box_defects(boxes: np.ndarray, image_size: int) -> dict[str, str]:
    """Return what is wrong with the boxes (4, 4) of one face, by component; empty when a network can read them.

    A box has to lie inside the picture and keep a pixel in both directions after floor division by 8.
    """
    defects = {}
    for index in USED_COMPONENTS:
        x0, y0, x1, y1 = (int(value) for value in boxes[index])
        box = f"({x0}, {y0}, {x1}, {y1})"
        if min(x0, y0) < 0 or max(x1, y1) > image_size:
            defects[COMPONENTS[index]] = f"box {box} reaches outside the {image_size} x {image_size} picture"
        elif x1 <= x0 or y1 <= y0:
            defects[COMPONENTS[index]] = f"box {box} is empty"
        elif x1 // COARSEST_STRIDE <= x0 // COARSEST_STRIDE or y1 // COARSEST_STRIDE <= y0 // COARSEST_STRIDE:
            defects[COMPONENTS[index]] = f"box {box} is too small: nothing is left of it at an eighth of the size"
    return defects


def check_boxes(boxes: np.ndarray, image_size: int, name: object = "face") -> np.ndarray:
    """Return the boxes (4, 4) of one face as int32 when a network of `image_size` can read them.

    Raises:
        BoxError: another shape, or a component's box is empty, outside or too small; the message names both.
    """
    boxes = np.asarray(boxes)
    if boxes.shape != (len(COMPONENTS), 4) or not np.issubdtype(boxes.dtype, np.integer):
        raise BoxError(f"{name}: boxes are integers (4, 4), got {boxes.dtype} {boxes.shape}")
    defects = box_defects(boxes, image_size)
    if defects:
        reasons = "; ".join(f"{component}: {reason}" for component, reason in defects.items())
        raise BoxError(f"{name}: {reasons}. Check the landmarks, or take a picture that shows the whole face")
    return boxes.astype(np.int32)
