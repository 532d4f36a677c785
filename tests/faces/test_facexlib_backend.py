"""The published weights may not be shipped: random ones show shapes, order, places and errors, not accuracy."""

from __future__ import annotations

import socket
import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from dmdnet.errors import FaceError, WeightsError
from dmdnet.faces.align import transform_points
from dmdnet.faces.backend import FaceBackend, get_backend
from dmdnet.faces.facexlib_backend import FacexlibBackend
from dmdnet.faces.template import template_landmarks
from dmdnet.weights import WEIGHTS

pytestmark = pytest.mark.filterwarnings("error::UserWarning:torchvision")  # facexlib's own are silenced

NAMES = ("retinaface", "awing", "arcface_ir_se50")


@pytest.fixture(scope="module")
def unchecked():
    """The table of weights without digests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in NAMES:
            patch.setitem(WEIGHTS, name, replace(WEIGHTS[name], sha256=None))
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory, unchecked):
    retinaface = pytest.importorskip("facexlib.detection.retinaface")
    from facexlib.alignment.awing_arch import FAN
    from facexlib.recognition.arcface_arch import Backbone

    folder = tmp_path_factory.mktemp("weights")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            detector = retinaface.RetinaFace(device="cpu")
        states = {
            "retinaface": {f"module.{key}": value for key, value in detector.state_dict().items()},
            "awing": {"state_dict": FAN(num_modules=4, num_landmarks=98, device="cpu").state_dict()},
            "arcface_ir_se50": Backbone(num_layers=50, drop_ratio=0.6, mode="ir_se").state_dict(),
        }
    for key, value in states["retinaface"].items():
        if "ClassHead" in key:  # each place says: surely no face
            value.copy_(torch.tensor([20.0, -20.0, 20.0, -20.0]) if key.endswith("bias") else torch.zeros_like(value))
    for name, state in states.items():
        tensors = state.get("state_dict", state)
        tensors |= {key: value.half() for key, value in tensors.items() if value.is_floating_point()}  # half the bytes
        torch.save(state, folder / WEIGHTS[name].file)
    return folder


@pytest.fixture(scope="module")
def random_backend(weights):
    return FacexlibBackend(device="cpu", weights=weights)


class RedSpot(torch.nn.Module):
    """In place of the landmark network: all of its 98 points, and the outline, lie where the picture is red."""

    def forward(self, crop):
        red = torch.nn.functional.avg_pool2d(crop[:, :1] - crop[:, 2:], 4)
        return [red.expand(-1, 99, -1, -1)], None


def test_it_is_a_back_end_and_loads_what_it_uses(random_backend):
    assert isinstance(random_backend, FaceBackend)
    assert "_recogniser" not in vars(random_backend)


def test_nothing_is_fetched(weights, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    backend = FacexlibBackend(device="cpu", weights=weights)
    assert all(net.training is False for net in (backend._detector, backend._aligner, backend._recogniser))


def test_landmarks_and_embeddings_have_their_shapes(random_backend, astronaut):
    landmarks = random_backend.landmarks_in(astronaut, (180, 80, 270, 180))
    assert landmarks.shape == (68, 2)
    assert landmarks.dtype == np.float64
    # inside the square that is looked at: 1.25 times the box's longer side
    assert (np.abs(landmarks - (225, 130)) <= 63).all()
    embedding = random_backend.embed(astronaut, template_landmarks(512) * 0.2 + (175, 75))
    assert embedding.shape == (512,)
    assert embedding.dtype == np.float64
    assert np.linalg.norm(embedding) == pytest.approx(1)


def test_a_picture_without_a_sure_face_has_none(random_backend, astronaut):
    assert random_backend.detect(astronaut) == []


@pytest.mark.parametrize("shape", [(1, 1), (2, 900), (20, 20), (100, 20), (9, 600)])
def test_tiny_pictures_have_none(random_backend, shape):
    assert random_backend.detect(np.zeros((*shape, 3), np.uint8)) == []


class OneFace:
    """In place of the detector: a face in the left upper quarter, a small one, and three that are none."""

    def detect_faces(self, bgr, conf_threshold, nms_threshold):
        self.shape = bgr.shape
        height, width = bgr.shape[:2]
        boxes = [(0.5, 0.5, 0.6, 0.6, 0.98), (0, 0, 0.5, 0.5, 0.99), (2.0, 2.0, 2.5, 2.5, 0.99)]
        boxes += [(0, 0, np.inf, np.nan, 0.99), (-90, -90, 90, 90, 0.99)]
        scaled = np.array(boxes) * (width, height, width, height, 1)
        return np.concatenate([scaled, np.zeros((5, 10))], axis=1).astype(np.float32)


@pytest.mark.parametrize("shape", [(100, 160), (512, 512), (3000, 2000)])
def test_boxes_are_in_pixels_of_the_photograph(random_backend, monkeypatch, shape):
    detector = OneFace()
    monkeypatch.setitem(vars(random_backend), "_detector", detector)
    monkeypatch.setitem(vars(random_backend), "_aligner", RedSpot())
    faces = random_backend.detect(np.zeros((*shape, 3), np.uint8))
    height, width = shape
    np.testing.assert_allclose(faces[0].box, (0, 0, width / 2, height / 2), atol=1)
    np.testing.assert_allclose(
        faces[1].box, (0.5 * width, 0.5 * height, 0.6 * width, 0.6 * height), atol=1, err_msg="the largest comes first"
    )
    assert len(faces) == 2, "faces outside the picture and boxes without bounds are left out"
    assert detector.shape[0] * detector.shape[1] < 1.61e6
    assert min(detector.shape[:2]) >= 320


@pytest.mark.parametrize("box", [(180, 80, 270, 180), (150, 60, 420, 310), (-40, -20, 300, 300), (200, 100, 216, 120)])
def test_landmarks_are_in_pixels_of_the_photograph(random_backend, monkeypatch, box):
    monkeypatch.setitem(vars(random_backend), "_aligner", RedSpot())
    spot = np.array([box[0] * 0.4 + box[2] * 0.6, box[1] * 0.3 + box[3] * 0.7])
    size = (box[2] - box[0]) / 25
    grid = np.stack(np.meshgrid(np.arange(512), np.arange(512)), axis=-1)
    red = np.exp(-((grid - spot) ** 2).sum(axis=-1) / (2 * size**2))
    photo = np.zeros((512, 512, 3), np.uint8)
    photo[..., 0] = np.rint(255 * red)
    landmarks = random_backend.landmarks_in(photo, box)
    step = 1.25 * max(box[2] - box[0], box[3] - box[1]) / 64  # pixels of the photograph in one of the heatmap
    np.testing.assert_allclose(landmarks, np.tile(spot, (68, 1)), atol=0.4 * step)


def test_the_face_is_turned_upright_before_it_is_embedded(random_backend, monkeypatch):
    chips = []

    class Watch(torch.nn.Module):
        def forward(self, chip):
            chips.append(chip.clone())
            return torch.ones(1, 512)

    monkeypatch.setitem(vars(random_backend), "_recogniser", Watch())
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8), (512, 512), interpolation=cv2.INTER_CUBIC)
    points = template_landmarks(512)
    turn = cv2.getRotationMatrix2D((255.5, 255.5), 33, 0.8)
    turned = cv2.warpAffine(photo, turn, (512, 512), flags=cv2.INTER_CUBIC)
    random_backend.embed(photo, points)
    random_backend.embed(turned, transform_points(points, turn))
    assert chips[0].shape == (1, 3, 112, 112)
    assert -1 <= chips[0].min() < -0.5 < 0.5 < chips[0].max() <= 1
    assert (chips[0] - chips[1]).abs().mean() < 0.03
    # blue comes first: the eye on the left lies at (38, 52) of the chip
    eye = photo[tuple(np.rint(points[36:42].mean(axis=0)).astype(int)[::-1])]
    np.testing.assert_allclose((chips[0][0, 1, 52, 38] + 1) * 127.5, eye[1], atol=25)
    np.testing.assert_allclose((chips[0][0, 0, 52, 38] + 1) * 127.5, eye[2], atol=25)


def test_missing_weights_say_what_from_where_to_where(tmp_path, monkeypatch):
    pytest.importorskip("facexlib")
    monkeypatch.setenv("DMDNET_WEIGHTS", str(tmp_path))
    get_backend.cache_clear()
    with pytest.raises(
        WeightsError, match=r"detection_Resnet50_Final\.pth is missing.*https://github\.com.*put it into"
    ):
        get_backend("facexlib")


def test_damaged_and_foreign_weights_are_named(tmp_path, weights, unchecked):
    for name in NAMES:
        (tmp_path / WEIGHTS[name].file).write_bytes(b"no weights")
    backend = FacexlibBackend(device="cpu", weights=tmp_path)
    with pytest.raises(WeightsError, match=r"detection_Resnet50_Final\.pth: not a readable weights file"):
        backend.detect(np.zeros((64, 64, 3), np.uint8))
    torch.save({"state_dict": {"some.weight": torch.zeros(1)}}, tmp_path / WEIGHTS["awing"].file)
    with pytest.raises(WeightsError, match=r"alignment_WFLW_4HG\.pth: these are not weights of awing"):
        backend.landmarks_in(np.zeros((64, 64, 3), np.uint8), (0, 0, 64, 64))


def test_the_published_digest_is_asked_for(tmp_path):
    pytest.importorskip("facexlib")
    for name in NAMES:
        (tmp_path / WEIGHTS[name].file).write_bytes(b"no weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(WEIGHTS, "retinaface", replace(WEIGHTS["retinaface"], sha256="6d1de9c2"))
        with pytest.raises(WeightsError, match="is not the published file"):
            FacexlibBackend(device="cpu", weights=tmp_path)


def test_a_device_that_is_not_there_is_named(weights):
    with pytest.raises(FaceError, match="there is no device 'gpu'"):
        FacexlibBackend(device="gpu", weights=weights)


def test_an_empty_box_is_named(random_backend):
    with pytest.raises(FaceError, match="is empty"):
        random_backend.landmarks_in(np.zeros((64, 64, 3), np.uint8), (5, 5, 5, 5))
