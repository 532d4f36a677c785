"""Faces with facexlib: RetinaFace, 98 landmarks by an adaptive-wing-loss network, and ArcFace; on a GPU if there is.

The networks are facexlib's classes; their weights come from our weights folder, since facexlib's own loading would
fetch them from the network. What goes into the networks and comes out of them is written here from their published
descriptions. It has not been compared with faces of known landmarks: the weights may not be shipped, and the tests
run with random ones.
"""

from __future__ import annotations

import functools
import importlib
import math
import multiprocessing
import os
import warnings
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from dmdnet.errors import FaceError, WeightsError
from dmdnet.faces.align import warp
from dmdnet.faces.backend import Face
from dmdnet.faces.five_points import CHIP_POINTS_5, CHIP_SIDE, FIVE_OF_68
from dmdnet.faces.landmarks import check_landmarks
from dmdnet.faces.wflw import NUM_WFLW, wflw_to_68
from dmdnet.registry import FACE_BACKENDS
from dmdnet.weights import find_weights, read_state

# RetinaFace looks at pictures of at most so many pixels, and magnifies those whose shorter side is smaller than that:
# its smallest anchor is 16 pixels
_DETECTION_PIXELS, _DETECTION_SIDE, _LARGEST_MAGNIFICATION = 1_600_000, 320, 4.0
_SURE_SCORE = 0.97  # what restoration tools ask of it
_OVERLAP = 0.4
_SMALLEST_PICTURE = 8  # pixels a side

# side of the square around a face box that the landmark network sees, in longer sides of the box: WFLW's boxes cut
# off chins, and those who train on it enlarge them by a quarter
_CROP, _CROP_SIDE, _HEATMAP_SIDE = 1.25, 256, 64


@FACE_BACKENDS.register("facexlib")
class FacexlibBackend:
    """RetinaFace (ResNet-50), 98-point AWing landmarks as 68 points, and ArcFace (IR-SE-50).

    Embeddings have length 1, so that a distance d is a cosine of 1 - d^2 / 2.

    Args:
        device: `cuda`, `cuda:1`, `cpu`; by default the GPU, and the CPU where there is none or in a worker process,
            since a GPU cannot be used from a forked one.
        weights: the weights folder (default: DMDNET_WEIGHTS, else `weights`).

    Raises:
        FaceError: facexlib is not installed, or there is no such device.
        WeightsError: weights are missing or damaged.
    """

    same_person_distance = 1.0
    """A cosine of 0.5. Not measured here: verification with this network has been published with a squared distance of
    1.5 (distance 1.22), and FFHQ-Ref joined pictures below a cosine distance of 0.4 (0.89) of a related one."""

    def __init__(self, *, device: str | None = None, weights: str | os.PathLike[str] | None = None) -> None:
        self.device = _device(device)
        # all three now, so that a missing one is known before an hour of work
        self._paths = {name: find_weights(name, weights) for name in ("retinaface", "awing", "arcface_ir_se50")}
        self.files = tuple(self._paths.values())
        _facexlib("")

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Return the faces of uint8 RGB (H, W, 3), the largest first."""
        height, width = rgb.shape[:2]
        if min(height, width) < _SMALLEST_PICTURE:
            return []
        scale = min(max(1.0, _DETECTION_SIDE / min(height, width)), _LARGEST_MAGNIFICATION)
        scale = min(scale, math.sqrt(_DETECTION_PIXELS / (height * width)))
        size = max(round(width * scale), _SMALLEST_PICTURE), max(round(height * scale), _SMALLEST_PICTURE)
        bgr = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR)
        if size != (width, height):
            bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        with torch.inference_mode():
            found = self._detector.detect_faces(bgr, conf_threshold=_SURE_SCORE, nms_threshold=_OVERLAP)
        found[:, :4] *= np.array([width / size[0], height / size[1]] * 2)
        boxes = [(_to_ints(row[:4]), float(row[4])) for row in found if _can_be_measured(row[:4], height, width)]
        faces = [Face(box, self.landmarks_in(rgb, box), score) for box, score in boxes]
        return sorted(faces, key=lambda face: face.area, reverse=True)

    def landmarks_in(self, rgb: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
        """Return landmarks (68, 2) float64 of the face in `box`, with no search for it.

        Raises:
            FaceError: the box is empty or lies outside the picture.
        """
        matrix = _crop_matrix(box)
        crop = _to_tensor(warp(rgb, matrix, (_CROP_SIDE, _CROP_SIDE)), self.device) / 255.0
        with torch.inference_mode():
            heatmaps = self._aligner(crop)[0][-1][0, :NUM_WFLW]
        points = _peaks(heatmaps.float().cpu().numpy())
        in_crop = (points + 0.5) * (_CROP_SIDE / _HEATMAP_SIDE) - 0.5
        return (wflw_to_68(in_crop) - matrix[:, 2]) / matrix[0, 0]

    def embed(self, rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Return the (512,) float64 embedding, of length 1, of the face with these landmarks.

        Raises:
            DataError: landmarks of another shape, or not finite.
            FaceError: the face lies outside the picture.
        """
        matrix = _similarity(FIVE_OF_68 @ check_landmarks(landmarks), CHIP_POINTS_5)
        chip = warp(rgb, matrix, (CHIP_SIDE, CHIP_SIDE))
        # this network was trained on pictures with red and blue exchanged (InsightFace_Pytorch)
        face = _to_tensor(np.ascontiguousarray(chip[..., ::-1]), self.device) / 127.5 - 1.0
        with torch.inference_mode():
            embedding: np.ndarray = self._recogniser(face)[0].double().cpu().numpy()
        return embedding / max(float(np.linalg.norm(embedding)), 1e-12)

    @functools.cached_property
    def _detector(self) -> Any:
        def build() -> nn.Module:
            net: nn.Module = _facexlib("detection.retinaface").RetinaFace(network_name="resnet50", device=self.device)
            return net

        return self._load("retinaface", build)

    @functools.cached_property
    def _aligner(self) -> Any:
        return self._load(
            "awing",
            lambda: _facexlib("alignment.awing_arch").FAN(
                num_modules=4, num_landmarks=NUM_WFLW, device=str(self.device)
            ),
        )

    @functools.cached_property
    def _recogniser(self) -> Any:
        arcface = _facexlib("recognition.arcface_arch")
        return self._load("arcface_ir_se50", lambda: arcface.Backbone(num_layers=50, drop_ratio=0.6, mode="ir_se"))

    def _load(self, name: str, build: Callable[[], nn.Module]) -> nn.Module:
        path = self._paths[name]
        with warnings.catch_warnings():
            # facexlib calls torchvision in the manner of an older version
            warnings.simplefilter("ignore", UserWarning)
            net = build()
        state = read_state(path)
        try:
            net.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
        except (RuntimeError, AttributeError) as error:
            raise WeightsError(f"{path}: these are not weights of {name}; download the file again") from error
        return net.requires_grad_(False).eval().to(self.device)


def _device(name: str | None) -> torch.device:
    if name is None:
        usable = torch.cuda.is_available() and multiprocessing.parent_process() is None
        return torch.device("cuda" if usable else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise FaceError(f"the facexlib back end: there is no device {name!r}; cpu or cuda") from None
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and not torch.cuda.is_available()):
        raise FaceError(f"the facexlib back end: the device {name!r} is not there; take cpu")
    return device


def _facexlib(module: str) -> Any:
    try:
        return importlib.import_module(f"facexlib.{module}".rstrip("."))
    except ImportError as error:
        raise FaceError(f"the facexlib back end needs facexlib, which cannot be imported ({error}): pip install "
                        "facexlib") from error  # fmt: skip


def _to_tensor(rgb: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(rgb).to(device).permute(2, 0, 1)[None].float()


def _to_ints(box: np.ndarray) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    return x0, y0, x1, y1


def _can_be_measured(box: np.ndarray, height: int, width: int) -> bool:
    """Return whether a box has a face's size and shows at least a corner of it inside the picture."""
    if not np.isfinite(box).all() or max(box[2] - box[0], box[3] - box[1]) > 2 * max(height, width):
        return False
    x0, y0, x1, y1 = _to_ints(box)
    return min(x1 - x0, y1 - y0) >= 4 and min(x1, width) - max(x0, 0) >= 2 and min(y1, height) - max(y0, 0) >= 2


def _crop_matrix(box: tuple[int, int, int, int]) -> np.ndarray:
    """Return the matrix (2, 3) from the picture to a square around the box; points count from pixel centres."""
    x0, y0, x1, y1 = box
    side = _CROP * max(x1 - x0, y1 - y0)
    if side < 2:
        raise FaceError(f"the face at {tuple(box)} is empty")
    scale = _CROP_SIDE / side
    corner = np.array([x0 + x1 - side, y0 + y1 - side]) / 2
    return np.column_stack([np.eye(2) * scale, (0.5 - corner) * scale - 0.5])


def _peaks(heatmaps: np.ndarray) -> np.ndarray:
    """Return x y of the peaks of (N, H, W) heatmaps, each a quarter of a pixel towards the higher neighbour."""
    count, _, width = heatmaps.shape
    y, x = np.divmod(heatmaps.reshape(count, -1).argmax(axis=1), width)
    padded = np.pad(heatmaps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    number = np.arange(count)
    across = padded[number, y + 1, x + 2] - padded[number, y + 1, x]
    down = padded[number, y + 2, x + 1] - padded[number, y, x + 1]
    return np.stack([x + 0.25 * np.sign(across), y + 0.25 * np.sign(down)], axis=1).astype(np.float64)


def _similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the similarity (2, 3) that takes `points` nearest to `target` (both (N, 2)) in least squares."""
    one, other = points - points.mean(axis=0), target - target.mean(axis=0)
    spread = float((one**2).sum())
    if spread < 1e-6:
        raise FaceError("the landmarks of eyes, nose and mouth coincide; the face cannot be aligned")
    cosine = float((one * other).sum()) / spread
    sine = float((one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum()) / spread
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([turn, target.mean(axis=0) - turn @ points.mean(axis=0)])
