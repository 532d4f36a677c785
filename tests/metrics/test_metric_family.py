"""What every registered metric must do; a new metric gets these tests by being registered."""

import pytest
import torch

from dmdnet.errors import DataError
from dmdnet.metrics import Metric, MetricInput
from dmdnet.registry import METRICS

BOXES = torch.tensor([[12, 16, 28, 30], [36, 16, 52, 30], [26, 26, 38, 40], [20, 40, 44, 56]], dtype=torch.int32)
CASES = [(name, region) for name in METRICS.names() for region in ("image", "components")]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case))
def metric(request) -> Metric:
    name, region = request.param
    if "region" not in METRICS.schema(name).model_fields:
        if region != "image":
            pytest.skip(f"{name} has no regions")
        return METRICS.build(METRICS.component(name))
    return METRICS.build(METRICS.component(name, region=region))


@pytest.fixture
def target():
    low = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(low, size=(64, 64), mode="bicubic")
    return (smooth.clamp(0, 1) * 255).round().to(torch.uint8)


def noisy(picture, amount):
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(1)) * amount
    return (picture + noise).clamp(0, 255).round().to(torch.uint8)


def boxes_for(picture):
    return BOXES.repeat(len(picture), 1, 1)


def test_one_float64_per_picture(metric, target):
    values = metric(MetricInput(noisy(target, 10), target, boxes_for(target)))
    assert values.shape == (3,)
    assert values.dtype == torch.float64
    assert values.isfinite().all()


def test_identical_pictures_are_best_and_more_noise_is_worse(metric, target):
    sign = 1 if metric.higher_is_better else -1
    values = torch.stack(
        [sign * metric(MetricInput(noisy(target, amount), target, boxes_for(target))) for amount in (0, 3, 12, 50)]
    )
    assert (values[:-1] > values[1:]).all()


def test_a_batch_gives_what_each_picture_gives_alone(metric, target):
    pred, boxes = noisy(target, 10), boxes_for(target)
    alone = [metric(MetricInput(pred[i : i + 1], target[i : i + 1], boxes[i : i + 1])).item() for i in range(3)]
    assert metric(MetricInput(pred, target, boxes)).tolist() == pytest.approx(alone, rel=1e-12)


def test_arguments_are_left_alone(metric, target):
    pred, boxes = noisy(target, 10), boxes_for(target)
    copies = [tensor.clone() for tensor in (pred, target, boxes)]
    metric(MetricInput(pred, target, boxes))
    assert all(torch.equal(kept, tensor) for kept, tensor in zip(copies, (pred, target, boxes), strict=True))


def test_sizes_that_differ_are_named(metric, target):
    with pytest.raises(DataError, match=r"60x64.*64x64"):
        metric(MetricInput(target[..., :60], target, boxes_for(target)))


def test_float_pictures_are_refused(metric, target):
    with pytest.raises(DataError, match="uint8"):
        metric(MetricInput(target.float(), target.float(), boxes_for(target)))


def test_missing_boxes_are_named(metric, target):
    if getattr(metric, "region", "image") == "image":
        metric(MetricInput(target, target))
    else:
        with pytest.raises(DataError, match="component boxes"):
            metric(MetricInput(target, target))


def test_recipe_starts_with_a_name_and_names_the_colour(metric):
    name, _, details = metric.recipe.partition("@")
    assert name.isidentifier()
    assert details
