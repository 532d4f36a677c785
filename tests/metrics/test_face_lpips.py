"""LPIPS of the face alone against the lpips package on pictures masked by hand."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from dmdnet.features import parsing
from dmdnet.features.parsing import CLASSES, FaceParser
from dmdnet.images import to_float
from dmdnet.metrics import MetricInput
from dmdnet.registry import METRICS
from dmdnet.weights import WEIGHTS

lpips = pytest.importorskip("lpips")
SIZE = 64


class ByColour(nn.Module):
    """A parser's network that takes red for skin, green for hair, and everything else for background."""

    def forward(self, image_BCHW):
        logits = torch.zeros(len(image_BCHW), len(CLASSES), *image_BCHW.shape[2:])
        logits[:, CLASSES.index("background")] = 0.1
        logits[:, CLASSES.index("skin")] = image_BCHW[:, 0]
        logits[:, CLASSES.index("hair")] = image_BCHW[:, 1]
        return logits, None


@pytest.fixture
def folder(weights_folder, monkeypatch):
    """Drawn trunks of LPIPS, and a parser that goes by colours."""
    monkeypatch.setattr(parsing, "_load", lambda path: ByColour())
    monkeypatch.setattr(parsing, "shared", lambda key, build: build().eval())
    monkeypatch.setattr(parsing, "SIDE", SIZE)
    return weights_folder


@pytest.fixture
def inputs():
    """Two targets of which the left half is hair, the right one the face; the second one has no face."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 60, (2, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    target[:, 1, :, : SIZE // 2] = 220
    target[0, 0, :, SIZE // 2 :] += 180
    pred = torch.randint(0, 256, (2, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    return MetricInput(pred, target)


def build(folder, **options):
    metric = METRICS.build(METRICS.component("FaceLPIPS", **options))
    metric.prepare(str(folder))
    return metric.eval()


def packages_value(net, folder, pred, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(pretrained=True, pnet_rand=True, net=net, verbose=False)
    state = torch.load(folder / WEIGHTS[{"alex": "alexnet", "vgg": "vgg16"}[net]].file, weights_only=True)
    for key, value in network.net.state_dict().items():
        value.copy_(state["features." + key.split(".", 1)[1]])
    with torch.no_grad():
        return network(pred, target).flatten()


@pytest.mark.parametrize("net", ["vgg", "alex"])
def test_it_is_the_packages_value_of_masked_pictures(folder, inputs, net):
    found = build(folder, net=net)(inputs)
    black = [picture.clone() for picture in (inputs.pred_BCHW, inputs.target_BCHW)]
    for picture in black:
        picture[..., : SIZE // 2] = 0
    expected = packages_value(net, folder, *map(to_float, black))
    assert found[0].item() == pytest.approx(expected[0].item(), rel=1e-4)
    assert found[0] > 0.01
    assert found[1].isnan()


def test_what_lies_outside_the_face_does_not_count(folder, inputs):
    metric = build(folder, net="alex")
    pred = inputs.pred_BCHW.clone()
    pred[..., : SIZE // 2] = 7
    assert metric(replace(inputs, pred_BCHW=pred, pred_memo={}))[0] == metric(inputs)[0]
    pred[..., SIZE // 2 + 3] = 7
    assert metric(replace(inputs, pred_BCHW=pred, pred_memo={}))[0] != metric(inputs)[0]


def test_whole_pictures_keep_their_own_features(folder, inputs):
    """LPIPS and the face's LPIPS share a network and the memos, and look at other pictures."""
    whole = METRICS.build(METRICS.component("LPIPS", net="alex"))
    whole.prepare(str(folder))
    face = build(folder, net="alex")
    alone = [metric(replace(inputs, pred_memo={}, target_memo={})) for metric in (whole, face)]
    assert whole.features is face.features
    for metric, expected in zip((whole, face, whole), (*alone, alone[0]), strict=True):
        torch.testing.assert_close(metric(inputs), expected, rtol=0, atol=0, equal_nan=True)


def test_the_face_has_these_parts():
    assert {name for name in CLASSES if name in parsing.FACE} == {
        *("skin", "nose", "glasses", "left_eye", "right_eye", "left_brow", "right_brow", "left_ear", "right_ear"),
        *("mouth", "upper_lip", "lower_lip"),
    }
    parser = FaceParser(ByColour())
    assert parser.is_face.sum() == 12
