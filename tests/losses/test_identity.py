"""Values of the loss, and the published network's shape with drawn weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dmdnet.data.demo_faces import Identity, Shot, draw_face
from dmdnet.errors import WeightsError
from dmdnet.faces.component_boxes import component_boxes
from dmdnet.features.arcface import load_arcface
from dmdnet.features.face_crop import CHIP_POINTS, aligned_chip
from dmdnet.images import from_hwc, to_float
from dmdnet.losses import identity
from dmdnet.losses.base import LossInput, build_losses
from dmdnet.losses.identity import IdentityLoss
from dmdnet.registry import LOSSES
from dmdnet.weights import WEIGHTS

SIZE = 128
TEMPLATE = torch.tensor(CHIP_POINTS)


@pytest.fixture(scope="module")
def faces():
    """Drawn faces: pictures (B, 3, 128, 128) in [-1, 1] and boxes (B, 4, 4)."""
    drawn = [draw_face(Identity.sample(0, who), Shot.sample(0, who, shot), SIZE) for who in (0, 1) for shot in (0, 1)]
    landmarks = np.stack([face.landmarks for face in drawn])
    images = torch.stack([to_float(from_hwc(face.image)) for face in drawn])
    return images, torch.from_numpy(component_boxes(landmarks, SIZE))


@pytest.mark.parametrize("crop", ["aligned", "centre"])
def test_values_from_the_embeddings(faces, monkeypatch, small_recogniser, crop):
    monkeypatch.setattr(identity, "load_arcface", lambda folder: small_recogniser())
    (loss,) = build_losses([LOSSES.component("IdentityLoss", crop=crop)])
    images, boxes = faces
    inputs = LossInput(images.flip(0), images, boxes)
    value = loss(inputs)
    assert ((value > 1e-3) & (value < 2)).all()
    torch.testing.assert_close(loss(LossInput(images, images, boxes)), torch.zeros(len(images)), rtol=0, atol=1e-5)


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
