"""The mean face in FFHQ's frame: where 68 landmarks lie when nothing has been detected yet.

How the numbers were obtained: dlib's landmarks of 57 faces, each brought into the frame by `align_face`: 17 faces of
12 real people in 14 photographs (a person counts once, however many pictures there are) and 40 drawn people
(`dmdnet.data.demo_faces`, seed 0, one picture each). The mean of the real ones and the mean of the drawn ones were
averaged and made symmetric with FLIP_68. In a 512-pixel picture the landmarks of one of the real faces lie on
average 12.6 pixels from it (eyes 3.8, brows 8.7, nose 13.2, lips 13.4, jaw 20.0), those of a drawn face 8.7.
"""

from __future__ import annotations

import numpy as np

_POINTS = (
    # jaw
    (0.2181, 0.4914), (0.2197, 0.5661), (0.2261, 0.6415), (0.2392, 0.7171), (0.2653, 0.7894),
    (0.3075, 0.8538), (0.3614, 0.9089), (0.4242, 0.9507), (0.5000, 0.9630), (0.5758, 0.9507),
    (0.6386, 0.9089), (0.6925, 0.8538), (0.7347, 0.7894), (0.7608, 0.7171), (0.7739, 0.6415),
    (0.7803, 0.5661), (0.7819, 0.4914),
    # brows
    (0.2768, 0.4398), (0.3091, 0.4033), (0.3582, 0.3893), (0.4105, 0.3923), (0.4599, 0.4087),
    (0.5401, 0.4087), (0.5895, 0.3923), (0.6418, 0.3893), (0.6909, 0.4033), (0.7232, 0.4398),
    # nose
    (0.5000, 0.4632), (0.5000, 0.5118), (0.5000, 0.5595), (0.5000, 0.6100), (0.4416, 0.6478),
    (0.4697, 0.6567), (0.5000, 0.6648), (0.5303, 0.6567), (0.5584, 0.6478),
    # eyes
    (0.3334, 0.4752), (0.3618, 0.4564), (0.3968, 0.4562), (0.4274, 0.4792), (0.3951, 0.4858),
    (0.3608, 0.4860), (0.5726, 0.4792), (0.6032, 0.4562), (0.6382, 0.4564), (0.6666, 0.4752),
    (0.6392, 0.4860), (0.6049, 0.4858),
    # lips
    (0.3838, 0.7417), (0.4250, 0.7233), (0.4682, 0.7158), (0.5000, 0.7226), (0.5318, 0.7158),
    (0.5750, 0.7233), (0.6162, 0.7417), (0.5766, 0.7815), (0.5345, 0.7989), (0.5000, 0.8026),
    (0.4655, 0.7989), (0.4234, 0.7815), (0.4000, 0.7432), (0.4679, 0.7373), (0.5000, 0.7409),
    (0.5321, 0.7373), (0.6000, 0.7432), (0.5331, 0.7650), (0.5000, 0.7693), (0.4669, 0.7650),
)  # fmt: skip

TEMPLATE_68 = np.array(_POINTS, dtype=np.float64)
"""(68, 2) x y in a unit square, where (0, 0) is the upper left corner of the picture (not the centre of a pixel)."""
TEMPLATE_68.setflags(write=False)

# Mean of the boxes that dlib's frontal detector gives for 17 real and 20 drawn faces in the frame, looked at in eight
# sizes (one size alone is quantised to its pyramid): centre 256.7, 304.7 and side 313.7 of 512, deviation of the
# side 19.
_FACE_BOX = (0.195, 0.29, 0.805, 0.9)


def template_landmarks(size: int) -> np.ndarray:
    """Return the mean landmarks (68, 2) float64 in pixels of an aligned picture of `size` x `size` pixels.

    They are symmetric: `flip_landmarks` of them gives them again.
    """
    return TEMPLATE_68 * size - 0.5


def template_face_box(size: int) -> tuple[int, int, int, int]:
    """Return the box x0 y0 x1 y1, in pixels, in which dlib's predictor expects the face of an aligned picture."""
    x0, y0, x1, y1 = (round(part * size) for part in _FACE_BOX)
    return x0, y0, x1, y1


def face_box_of(landmarks: np.ndarray) -> tuple[int, int, int, int]:
    """Return the box x0 y0 x1 y1, in pixels, in which dlib's predictor expects the face of these landmarks (68, 2).

    It is the aligned face's box, moved and scaled as the mean landmarks come nearest to these; where they coincide, it
    is one pixel wide.
    """
    mean, center = TEMPLATE_68.mean(axis=0), landmarks.mean(axis=0)
    spread = TEMPLATE_68 - mean
    scale = max(float((spread * (landmarks - center)).sum() / (spread**2).sum()), 1.0)
    corners = (np.array(_FACE_BOX).reshape(2, 2) - mean) * scale + center + 0.5
    x0, y0, x1, y1 = (round(float(value)) for value in corners.reshape(4))
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)
