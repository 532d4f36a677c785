"""What the recogniser sees, and the published network's shape with drawn weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dmdnet.data.demo_faces import make_demo_faces
from dmdnet.errors import WeightsError
from dmdnet.faces.component_boxes import component_boxes
from dmdnet.features.arcface import FaceEmbedding, load_arcface
from dmdnet.features.face_crop import CHIP_POINTS, aligned_chip, centre_chip, face_points
from dmdnet.images import read_image
from dmdnet.losses import identity
from dmdnet.losses.base import LossInput, build_losses
from dmdnet.losses.identity import IdentityLoss
from dmdnet.registry import LOSSES
from dmdnet.weights import WEIGHTS

SIZE = 512
TEMPLATE = torch.tensor(CHIP_POINTS)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Drawn faces: pictures (B, 3, 512, 512) in [-1, 1], landmarks (B, 68, 2), boxes (B, 4, 4)."""
    root = tmp_path_factory.mktemp("faces")
    make_demo_faces(root, identities=2, images_per_identity=2, size=SIZE)
    pictures = [read_image(path) for path in sorted((root / "images").rglob("*.png"))]
    landmarks = np.stack([np.loadtxt(path) for path in sorted((root / "landmarks").rglob("*.txt"))])
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return images, landmarks, torch.from_numpy(component_boxes(landmarks, SIZE))


def test_boxes_give_back_the_eyes_and_the_mouth(faces):
    _, landmarks, boxes = faces
    found = face_points(boxes).numpy()
    for index, points in enumerate((slice(36, 42), slice(42, 48), slice(48, 68))):
        expected = landmarks[:, points].mean(axis=1)
        assert np.linalg.norm(found[:, index] - expected, axis=1).max() < 1.6


def test_the_chip_is_near_that_of_five_landmarks(faces):
    from dmdnet.faces.facexlib_backend import _similarity
    from dmdnet.faces.five_points import CHIP_POINTS_5, FIVE_OF_68
    from dmdnet.ops.similarity_crop import to_picture

    _, landmarks, boxes = faces
    grid = torch.tensor([[0.0, 0.0], [111.0, 0.0], [0.0, 111.0], [111.0, 111.0], [55.5, 55.5]])
    places = to_picture(grid, face_points(boxes), TEMPLATE).numpy()
    for points, place in zip(landmarks, places, strict=True):
        matrix = _similarity(FIVE_OF_68 @ points, CHIP_POINTS_5)
        off = np.linalg.norm(place @ matrix[:, :2].T + matrix[:, 2] - grid.numpy(), axis=1)
        assert off[4] < 2  # of 112 pixels, in the middle
        assert off.max() < 5


def test_the_chip_follows_the_face_and_the_centre_does_not(faces):
    images, _, boxes = faces
    moved = torch.roll(images, (24, -16), dims=(2, 3))
    moved_boxes = boxes + torch.tensor([-16, 24, -16, 24], dtype=boxes.dtype)
    inner = (..., slice(20, 92), slice(20, 92))
    followed = aligned_chip(moved, moved_boxes, TEMPLATE) - aligned_chip(images, boxes, TEMPLATE)
    assert followed[inner].abs().max() < 1e-4
    assert (centre_chip(moved) - centre_chip(images)).abs().mean() > 0.02


def test_the_centre_of_512_pixels_is_averages_of_four_by_four():
    image = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    expected = image[..., 32:480, 32:480].unflatten(3, (112, 4)).unflatten(2, (112, 4)).mean(dim=(3, 5))
    torch.testing.assert_close(centre_chip(image), expected)
    assert centre_chip(image[..., :64, :64]).shape == (1, 3, 112, 112)


def test_gradients_reach_every_pixel_of_the_face(faces):
    images, _, boxes = faces
    pred = images[:1].clone().requires_grad_()
    aligned_chip(pred, boxes[:1], TEMPLATE).sum().backward()
    x0, y0, x1, y1 = boxes[0, 0].tolist()
    assert (pred.grad[0, :, y0:y1, x0:x1] != 0).all()


@pytest.mark.parametrize("crop", ["aligned", "centre"])
def test_values_from_the_embeddings(faces, monkeypatch, small_recogniser, crop):
    monkeypatch.setattr(identity, "load_arcface", lambda folder: small_recogniser())
    (loss,) = build_losses([LOSSES.component("IdentityLoss", crop=crop)])
    images, _, boxes = faces
    inputs = LossInput(images.flip(0), images, boxes)
    value = loss(inputs)
    assert ((value > 1e-3) & (value < 2)).all()
    torch.testing.assert_close(loss(LossInput(images, images, boxes)), torch.zeros(len(images)), rtol=0, atol=1e-5)


def test_red_and_blue_are_exchanged_and_training_mode_never_comes():
    embedding = FaceEmbedding(torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()))
    chip = torch.tensor([1.0, 0.0, -2.0]).view(1, 3, 1, 1).expand(1, 3, 112, 112)
    torch.testing.assert_close(embedding(chip), torch.tensor([[-2.0, 0.0, 1.0]]) / 5**0.5)
    torch.nn.ModuleList([embedding]).train()
    assert not any(module.training for module in embedding.modules())


def test_the_published_network_with_drawn_weights(tmp_path, monkeypatch, loss_input):
    arch = pytest.importorskip("facexlib.recognition.arcface_arch")
    monkeypatch.setitem(WEIGHTS, "arcface_ir_se50", replace(WEIGHTS["arcface_ir_se50"], sha256=None))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = arch.Backbone(num_layers=50, drop_ratio=0.6, mode="ir_se").eval()
    path = tmp_path / WEIGHTS["arcface_ir_se50"].file
    torch.save({key: value.half() if value.is_floating_point() else value
                for key, value in network.state_dict().items()}, path)  # fmt: skip
    state = torch.random.get_rng_state()
    losses = build_losses([LOSSES.component("IdentityLoss")] * 2, str(tmp_path))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert losses[0].embedding is losses[1].embedding
    assert not any(parameter.requires_grad for parameter in losses[0].parameters())
    inputs = loss_input(batch=1, size=64)
    value = losses[0](inputs)
    assert value.shape == (1,)
    (gradient,) = torch.autograd.grad(value.sum(), inputs.pred_BCHW)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
    chip = aligned_chip(inputs.pred_BCHW, inputs.boxes_B44, TEMPLATE)
    with torch.no_grad():
        difference = losses[0].embedding(chip) - network.half().float()(chip.flip(1))
    assert difference.abs().max() < 1e-4

    torch.save({"conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"not weights of ArcFace"):
        load_arcface(str(tmp_path))


def test_missing_weights_say_which_file_and_where(tmp_path):
    pytest.importorskip("facexlib")
    with pytest.raises(WeightsError, match=r"recognition_arcface_ir_se50\.pth is missing; .*https://"):
        build_losses([LOSSES.component("IdentityLoss")], str(tmp_path))
    assert IdentityLoss().name == "identity"
