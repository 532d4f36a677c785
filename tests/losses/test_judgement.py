"""Discriminators of every manner, and how often they are asked."""

import pytest
import torch

from dmdnet.losses.base import LossInput, build_losses
from dmdnet.losses.judgement import Judge
from dmdnet.registry import LOSSES

BOXES = torch.zeros(1, 4, 4, dtype=torch.int32)


def test_one_map_and_many_are_both_maps():
    picture = torch.zeros(1, 3, 4, 4)
    assert len(Judge(lambda image: image)(picture, BOXES).maps()) == 1
    assert len(Judge(lambda image: [image, image])(picture, BOXES).maps()) == 2
    assert Judge(lambda image: image)(picture, BOXES).features == ()


def test_boxes_go_to_those_who_take_them():
    seen = []

    class TakesBoxes:
        takes_boxes = True

        def __call__(self, image, boxes):
            seen.append(boxes)
            return image

    net = TakesBoxes()
    Judge(net)(torch.zeros(1, 3, 4, 4), BOXES)
    Judge(net, call=net.__call__)(torch.zeros(1, 3, 4, 4), BOXES)
    assert len(seen) == 2
    assert seen[0] is BOXES


def test_a_picture_is_judged_once_for_all_losses_and_the_target_once_for_all_outputs():
    calls = []

    def net(image, *, features):
        calls.append(float(image.mean()))
        return [image], [image]

    judge = Judge(net, features=True)
    components = [LOSSES.component("GANLoss"), LOSSES.component("GANLoss"), LOSSES.component("FeatureMatchingLoss")]
    target, memo = torch.ones(1, 3, 4, 4), {}
    for value in (0.25, 0.5):
        inputs = LossInput(torch.full((1, 3, 4, 4), value), target, BOXES, judge, target_memo=memo)
        for loss in build_losses(components):
            loss(inputs)
    assert calls == [0.25, 1.0, 0.5]


def test_feature_matching_by_hand():
    def net(image, *, features):
        return [image], [image * 2, image[..., :1, :1] + 5]

    pred, target = torch.full((1, 3, 4, 4), 0.5), torch.full((1, 3, 4, 4), 0.2)
    (loss,) = build_losses([LOSSES.component("FeatureMatchingLoss")])
    value = loss(LossInput(pred, target, BOXES, Judge(net, features=True)))
    assert value.item() == pytest.approx((0.6 + 0.3) / 2)


def test_the_real_pictures_features_get_no_gradient():
    scale = torch.tensor(2.0, requires_grad=True)
    target = torch.full((1, 3, 4, 4), 0.2, requires_grad=True)
    inputs = LossInput(
        torch.full((1, 3, 4, 4), 0.5, requires_grad=True),
        target,
        BOXES,
        Judge(lambda image, features: ([image], [image * scale]), features=True),
    )
    assert inputs.judged_pred().features[0].requires_grad
    assert not inputs.judged_target().features[0].requires_grad
