"""The part of a picture that a face recogniser sees, cut out so that gradients flow back.

Metrics have landmarks and take the usual five points: eyes, tip of the nose, corners of the mouth. Losses take boxes
alone. How the boxes were made (`dmdnet.faces.component_boxes`) gives back the centres of both eyes and of the mouth to
a pixel or two: three points.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from dmdnet.faces.five_points import CHIP_POINTS_5, CHIP_SIDE, FIVE_OF_68
from dmdnet.ops.similarity_crop import similarity_crop

FaceCrop = Literal["aligned", "centre"]
# Where ArcFace's 112-pixel pictures have the eyes and the middle of the mouth's corners (insightface's five points)
CHIP_POINTS = ((38.2946, 51.6963), (73.5318, 51.5014), (56.1396, 92.2848))
_EYES, _MOUTH = slice(0, 2), 3
_BELOW_THE_EYE = 1 / 2.9  # of an eye box's side: above the eye's centre it reaches 1.9 times as far as below
_FACE_SHARE = 0.75  # of an FFHQ-aligned picture's side is the chip's
_CENTRE_MARGIN = 1 / 16  # ReF-LDM cuts off so much of each side


def face_points(boxes_B44: Tensor) -> Tensor:
    """Return the centres of the left eye, the right eye and the mouth from component boxes, (B, 3, 2) float32.

    Pixels are counted from their centres. Boxes that were limited to the picture, or jittered, give centres that far
    off.
    """
    boxes = boxes_B44.float()
    center = (boxes[..., :2] + boxes[..., 2:] - 1) / 2
    eyes = boxes[:, _EYES]
    eye_y = eyes[..., 3] - (eyes[..., 3] - eyes[..., 1] + 1) * _BELOW_THE_EYE
    eye_points = torch.stack([center[:, _EYES, 0], eye_y], dim=-1)
    return torch.cat([eye_points, center[:, _MOUTH, None]], dim=1)


def aligned_chip(image_BCHW: Tensor, boxes_B44: Tensor, template_32: Tensor) -> Tensor:
    """Return the face turned and scaled to ArcFace's template (`CHIP_POINTS`), (B, 3, 112, 112) float32."""
    return similarity_crop(image_BCHW, face_points(boxes_B44), template_32, CHIP_SIDE, _samples(image_BCHW))


def five_point_chip(image_BCHW: Tensor, landmarks_B682: Tensor) -> Tensor:
    """Return the face turned and scaled to ArcFace's five points, (B, 3, 112, 112) float32.

    The similarity is that of insightface (least squares, no reflection). Where it shrinks, samples are averaged:
    one sample a pixel of a 512-pixel picture would alias.
    """
    points_B52 = torch.tensor(FIVE_OF_68, device=image_BCHW.device).float() @ landmarks_B682.float()
    template_52 = torch.tensor(CHIP_POINTS_5, device=image_BCHW.device)
    return similarity_crop(image_BCHW, points_B52, template_52, CHIP_SIDE, _samples(image_BCHW))


def centre_chip(image_BCHW: Tensor) -> Tensor:
    """Return the middle [6.25 %, 93.75 %) of each side by area averages, (B, 3, 112, 112) float32, as ReF-LDM does.

    Faces of FFHQ-aligned pictures are a sixth too small in it for ArcFace.
    """
    height, width = image_BCHW.shape[2:]
    top, left = round(height * _CENTRE_MARGIN), round(width * _CENTRE_MARGIN)
    middle = image_BCHW[..., top : height - top, left : width - left].float()
    if middle.shape[2] == middle.shape[3] and middle.shape[2] % CHIP_SIDE == 0:
        return F.avg_pool2d(middle, middle.shape[2] // CHIP_SIDE)  # the same; deterministic on every device
    return F.interpolate(middle, size=(CHIP_SIDE, CHIP_SIDE), mode="area")


def _samples(image_BCHW: Tensor) -> int:
    return max(1, math.ceil(_FACE_SHARE * max(image_BCHW.shape[2:]) / CHIP_SIDE))
