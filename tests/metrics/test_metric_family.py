"""What every registered metric must do; a new metric gets these tests by being registered."""

import functools
import math
from dataclasses import replace
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
import torch

from dmdnet.data.demo_faces import MIN_SIZE, Identity, Shot, draw_face
from dmdnet.data.face_reader import resize_face
from dmdnet.errors import ConfigError, DataError
from dmdnet.faces.boxes import clip_boxes
from dmdnet.faces.component_boxes import component_boxes
from dmdnet.images import from_hwc
from dmdnet.metrics import MetricInput, MetricReferences, SetMetric
from dmdnet.registry import METRICS


def cases():
    """Yield every metric with its defaults, and once more with each other word that an option can have."""
    for name in METRICS.names():
        yield name, {}
        for option, field in METRICS.schema(name).model_fields.items():
            if get_origin(field.annotation) is Literal:
                yield from ((name, {option: word}) for word in get_args(field.annotation) if word != field.default)


def label(case):
    return "-".join((case[0], *map(str, case[1].values())))


@pytest.fixture
def build(weights_folder, ready_metrics):
    """Return a metric with drawn weights; what is not installed here is skipped with the remedy as its reason."""

    def ready(name, options):
        component = METRICS.component(name, **options)
        key = repr(component)
        if key not in ready_metrics:
            metric = METRICS.build(component)
            try:
                metric.prepare(str(weights_folder))
            except ConfigError as error:
                pytest.skip(str(error))
            ready_metrics[key] = metric.eval()
        return ready_metrics[key]

    return ready


ALL = list(cases())
SETS = [case for case in ALL if issubclass(METRICS.get(case[0]), SetMetric)]
PICTURES = [case for case in ALL if case not in SETS]


@pytest.fixture(params=ALL, ids=label)
def any_metric(request, build):
    return build(*request.param)


@pytest.fixture(params=PICTURES, ids=label)
def metric(request, build):
    return build(*request.param)


@pytest.fixture(params=SETS, ids=label)
def set_metric(request, build):
    return build(*request.param)


@functools.cache
def faces(size, count, seed=0):
    """Return drawn faces of several people: pictures, boxes, landmarks."""
    found = []
    for person in range(count):
        face = draw_face(Identity.sample(seed, person), Shot.sample(seed, person, 1), max(size, MIN_SIZE))
        found.append(resize_face(face.image, face.landmarks, size))
    landmarks = np.stack([landmarks for _, landmarks in found])
    boxes = clip_boxes(component_boxes(landmarks, size), size)
    pictures = torch.stack([from_hwc(image) for image, _ in found])
    return pictures, torch.from_numpy(boxes), torch.from_numpy(landmarks).float()


def noisy(picture, amount):
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(1)) * amount
    return (picture + noise).clamp(0, 255).round().to(torch.uint8)


def inputs_for(metric, amount, *, count=2, size=64):
    """Return everything that a metric may look at; the prediction is the target with noise."""
    size = max(size, metric.smallest_side)
    target, boxes, landmarks = faces(size, count)
    references = MetricReferences(target[:, None], torch.ones(count, 1, dtype=torch.bool), landmarks[:, None])
    return MetricInput(noisy(target, amount), target, boxes, landmarks, references)


@functools.cache
def inputs_of_four(amount):
    """Return what a set is made of; its memos keep the features, which FID and KID share."""
    target, boxes, landmarks = faces(64, 4)
    return MetricInput(noisy(target, amount), target, boxes, landmarks)


def take(inputs, rows):
    references = MetricReferences(*(tensor[rows] for tensor in vars(inputs.references).values()))
    return MetricInput(
        inputs.pred_BCHW[rows],
        inputs.target_BCHW[rows],
        inputs.boxes_B44[rows],
        inputs.landmarks_B682[rows],
        references,
    )


def test_one_float64_per_picture(metric):
    values = metric(inputs_for(metric, 10))
    assert values.shape == (2,)
    assert values.dtype == torch.float64
    assert values.isfinite().all() or metric.undefined


def test_identical_pictures_are_best_and_more_noise_is_worse(metric):
    if "target" not in metric.needs:
        pytest.skip("compares with nothing")
    sign = 1 if metric.higher_is_better else -1
    values = torch.stack([sign * metric(inputs_for(metric, amount)) for amount in (0, 3, 12, 50)])
    assert ((values[:-1] > values[1:]) | values[1:].isnan() | values[:-1].isnan()).all()
    assert values[0].isfinite().all() or metric.undefined


def test_a_batch_gives_what_each_picture_gives_alone(metric):
    inputs = inputs_for(metric, 10, count=3)
    alone = [metric(take(inputs, slice(index, index + 1))).item() for index in range(3)]
    assert metric(inputs).tolist() == pytest.approx(alone, rel=1e-9, nan_ok=True)


def test_two_methods_may_share_the_targets_memo(metric):
    first, second = inputs_for(metric, 10, count=1), inputs_for(metric, 30, count=1)
    expected = metric(second)
    metric(first)
    shared = replace(second, pred_memo={}, target_memo=first.target_memo)
    torch.testing.assert_close(metric(shared), expected, rtol=0, atol=0, equal_nan=True)


def test_arguments_are_left_alone(any_metric):
    inputs = inputs_for(any_metric, 10, count=1)
    tensors = (inputs.pred_BCHW, inputs.target_BCHW, inputs.boxes_B44, inputs.landmarks_B682)
    copies = [tensor.clone() for tensor in tensors]
    any_metric(inputs)
    assert all(torch.equal(kept, tensor) for kept, tensor in zip(copies, tensors, strict=True))


def test_sizes_that_differ_are_named(metric):
    if "target" not in metric.needs:
        pytest.skip("compares with nothing")
    inputs = inputs_for(metric, 0)
    size = inputs.pred_BCHW.shape[-1]
    with pytest.raises(DataError, match=f"{size - 4}x{size}.*{size}x{size}"):
        metric(replace(inputs, pred_BCHW=inputs.pred_BCHW[..., :-4]))


def test_float_pictures_are_refused(any_metric):
    inputs = inputs_for(any_metric, 0)
    with pytest.raises(DataError, match="uint8"):
        any_metric(replace(inputs, pred_BCHW=inputs.pred_BCHW.float(), target_BCHW=inputs.target_BCHW.float()))


def test_too_small_pictures_are_refused(any_metric):
    side = any_metric.smallest_side - 1
    if not side:
        pytest.skip("takes pictures of any size")
    inputs = inputs_for(any_metric, 0)
    small = inputs.target_BCHW[..., :side]
    with pytest.raises(DataError, match="smaller than"):
        any_metric(replace(inputs, pred_BCHW=small, target_BCHW=small))


def test_the_smallest_pictures_that_it_takes(any_metric):
    """16 pixels, or what it says that it needs: never the error of a network that has run out of pixels."""
    found = any_metric(inputs_for(any_metric, 10, count=1, size=16))
    assert len(found) == 1
    assert found.isfinite().all() or any_metric.undefined


def test_what_it_needs_and_is_not_there_is_named(metric):
    fields = {"target": "target_BCHW", "landmarks": "landmarks_B682", "references": "references"}
    for need in metric.needs:
        with pytest.raises(DataError, match="needs"):
            metric(replace(inputs_for(metric, 3), **{fields[need]: None}))


def test_missing_boxes_are_named(metric):
    inputs = replace(inputs_for(metric, 3, count=1), boxes_B44=None)
    if getattr(metric, "region", "image") == "image":
        metric(inputs)
    else:
        with pytest.raises(DataError, match="component boxes"):
            metric(inputs)


def test_recipe_starts_with_a_name_and_says_more(any_metric):
    name, _, details = any_metric.recipe.partition("@")
    assert name.isidentifier()
    assert details


def test_recipes_differ():
    """Two numbers that are not the same have two names."""
    recipes = [METRICS.build(METRICS.component(name, **options)).recipe for name, options in ALL]
    assert len(set(recipes)) == len(recipes)


def test_features_are_float32_of_each_picture_alone(set_metric):
    inputs = inputs_for(set_metric, 10, count=3)
    features = set_metric(inputs)
    assert features.shape[0] == 3
    assert features.dtype == torch.float32
    assert features.isfinite().all()
    alone = torch.cat([set_metric(take(inputs, slice(index, index + 1))) for index in range(3)])
    torch.testing.assert_close(features, alone, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(set_metric.target_features(inputs), set_metric(MetricInput(inputs.target_BCHW)))


def test_more_noise_makes_a_set_worse(set_metric):
    inputs = [inputs_of_four(amount) for amount in (0, 20, 60)]
    target = set_metric.target_features(inputs[0]).numpy()
    values = [set_metric.compare(set_metric(each).numpy(), target, seed=0).value for each in inputs]
    sign = 1 if set_metric.higher_is_better else -1
    assert sign * values[0] > sign * values[1] > sign * values[2]


def test_a_sets_number_depends_on_nothing_but_pictures_and_seed(set_metric):
    inputs = inputs_of_four(20)
    pred, target = set_metric(inputs).numpy(), set_metric.target_features(inputs).numpy()
    first, again = (set_metric.compare(pred, target, seed=3) for _ in range(2))
    assert first == again
    assert first.low is None or first.low <= first.value <= first.high
    assert (first.low is None) or first.interval


def test_a_set_of_one_picture_has_no_number_and_says_so(set_metric):
    features = set_metric(inputs_for(set_metric, 20, count=1)).numpy()
    found = set_metric.compare(features, features, seed=0)
    assert math.isnan(found.value)
    assert found.note
