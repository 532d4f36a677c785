"""Puts a drawn person together: paint the frontal plane, light it, turn it, lay it over body and background."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dmdnet.errors import DataError

from .accessories import paint_glasses, paint_jewels
from .body import paint_background, paint_body, paint_ears
from .brows import paint_brow
from .eyes import paint_eye
from .geometry import FaceGeometry, face_geometry
from .hair import has_back_hair, paint_back_hair, paint_front_hair
from .identity import Identity
from .layer import Layer
from .mouth import paint_mouth
from .nose import paint_nose
from .paint import FloatArray, Frame
from .pose import Projection, dense_map, inverse_map, picture_bounds, project, rotation
from .relief import face_relief
from .shading import Shading, shade
from .shot import Shot
from .skin import paint_skin

MIN_SIZE, MAX_SIZE = 64, 512
_BACK_DEPTH = -0.10


@dataclass(frozen=True)
class DemoFace:
    """A drawn picture `image` (H, W, 3) uint8 RGB with its `landmarks` (68, 2) float64 in pixels, iBUG order.

    The centre of the pixel at the top left is (0, 0).
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float64]


def check_size(size: int) -> None:
    """Raise DataError unless a face can be drawn at `size` pixels."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise DataError(
            f"size {size}: demo faces are drawn at {MIN_SIZE} to {MAX_SIZE} pixels; choose a size in that range"
        )


def _working_size(size: int) -> int:
    """Return the side on which a picture of `size` is drawn before it is averaged down."""
    return max(192, round(1.75 * size)) if size <= 256 else max(448, round(1.5 * size))


def _paint_head(layer: Layer, identity: Identity, shot: Shot, face: FaceGeometry) -> None:
    paint_skin(layer, identity, face, shot.expression)
    paint_nose(layer, identity, face)
    paint_mouth(layer, identity, face)
    for eye in face.eyes:
        paint_eye(layer, identity, eye, shot.expression, shot.light)
    points = face.landmarks
    paint_brow(layer, identity, points[17:22], -1)
    paint_brow(layer, identity, points[22:27][::-1], 1)
    paint_jewels(layer, identity, face)
    paint_glasses(layer, identity, face)
    paint_front_hair(layer, identity)


def _premultiplied(colour: FloatArray, alpha: FloatArray) -> FloatArray:
    """Return colour (H, W, 3) and opacity (H, W) as premultiplied RGBA uint8."""
    planes = [colour[..., channel] for channel in range(3)]
    full = alpha * np.float32(255)
    planes = [np.clip(plane, 0, 1) * full + np.float32(0.5) for plane in planes]
    return cv2.merge([*(plane.astype(np.uint8) for plane in planes), (full + np.float32(0.5)).astype(np.uint8)])


def _lit(layer: Layer, shading: Shading) -> FloatArray:
    """Return the layer under the light as premultiplied RGBA uint8."""
    colour = layer.spread(shading.gain)
    colour *= layer.colour
    shine = layer.spread(shading.highlight) * layer.gloss
    for channel in range(3):
        colour[..., channel] += shine
    return _premultiplied(colour, layer.alpha)


def _lay(canvas: FloatArray, rgba: FloatArray) -> None:
    through = 1 - rgba[..., 3] * np.float32(1 / 255)
    for channel in range(3):
        plane = canvas[..., channel]
        plane *= through
        plane += rgba[..., channel] * np.float32(1 / 255)


def _warp_head(layer: Layer, rgba: FloatArray, coarse: FloatArray, size: int) -> FloatArray:
    plane = dense_map(coarse, size, layer.frame.scale, (layer.frame.left + 0.5, layer.frame.top + 0.5))
    return cv2.remap(rgba, plane[..., 0], plane[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _warp_back(layer: Layer, rgba: FloatArray, projection: Projection, size: int) -> FloatArray:
    matrix = projection.inverse_affine(_BACK_DEPTH)
    scale, corner = layer.frame.scale, np.array([layer.frame.left + 0.5, layer.frame.top + 0.5])
    linear = matrix[:, :2] * (scale / size)
    offset = (matrix[:, :2] @ np.full(2, 0.5 / size) + matrix[:, 2]) * scale - corner
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(rgba, np.concatenate([linear, offset[:, None]], 1), (size, size), flags=flags)


def _paint_behind(identity: Identity, shot: Shot, projection: Projection, shading: Shading, work: int) -> FloatArray:
    """Return the picture (work, work, 3) without the head."""
    canvas = paint_background(shot.background, work)
    light = shading.gain[50:120, 50:120].mean((0, 1))
    if has_back_hair(identity):
        corners = np.array([(0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1)]) @ projection.inverse_affine(_BACK_DEPTH).T
        back = Layer.blank(work / 2, corners.min(0), corners.max(0))
        paint_back_hair(back, identity)
        back.colour[...] *= light * 0.9
        _lay(canvas, _warp_back(back, _premultiplied(back.colour, back.alpha), projection, work))
    lean = projection.points(np.array([[0.5, 0.9]]), 0.0)[0] - (0.5, 0.9)
    frame = Frame(0, 0, work, work, work)
    paint_body(canvas, frame, identity, shot, lean * 0.8, light)
    paint_ears(canvas, frame, identity, projection, light)
    return canvas


def draw_face(identity: Identity, shot: Shot, size: int) -> DemoFace:
    """Return the picture of `identity` taken as `shot`, `size` x `size` pixels.

    Raises:
        DataError: `size` is not within 64..512.
    """
    check_size(size)
    work = _working_size(size)
    face = face_geometry(identity, shot.expression)
    relief = face_relief(identity, face, shot.expression.smile)
    heights = relief.at(face.landmarks)
    projection = project(shot.pose, face.landmarks, heights)
    shading = shade(relief, shot.light, rotation(shot.pose))
    coarse = inverse_map(projection, relief)

    canvas = _paint_behind(identity, shot, projection, shading, work)
    head = Layer.blank(work, *picture_bounds(coarse))
    _paint_head(head, identity, shot, face)
    _lay(canvas, _warp_head(head, _lit(head, shading), coarse, work))
    small = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    image = (np.clip(small, 0, 1) * 255 + 0.5).astype(np.uint8)
    return DemoFace(image, projection.points(face.landmarks, heights) * size - 0.5)
