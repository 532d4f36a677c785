"""What is to be seen of masks and of the reads of references."""

import math
from types import SimpleNamespace

import pytest
import torch

from dmdnet.archs.dmdnet.fusion import MaskStatistics
from dmdnet.models.reading import Reading, reading_statistics


def mask(*values):
    return MaskStatistics.of(torch.tensor(values, dtype=torch.float32).view(len(values), -1, 1, 1))


def test_statistics_of_a_mask():
    found = mask([0.0, 1.0, 0.5, 0.5], [-0.5, 1.5, 2.0, 1.0])
    assert found.mean.tolist() == pytest.approx([0.5, 1.0])
    assert found.deviation.tolist() == pytest.approx([math.sqrt(1 / 8), math.sqrt(3.5 / 4)])
    assert found.outside.tolist() == [0.0, 0.75]


def test_only_samples_with_a_reference_count():
    # two sites of components 0 and 2; four samples with two, one, no and two references
    valid = torch.tensor([[[1, 1], [1, 0], [0, 0], [1, 1]]] * 3, dtype=torch.bool).transpose(0, 1)
    valid = valid.clone()
    valid[3, 2] = False  # no mouth in any reference of the last
    weights = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    masks = mask([0.2], [0.4], [9.0], [float("nan")])
    masks = MaskStatistics(masks.mean, torch.zeros(4), masks.outside)
    output = SimpleNamespace(specific_weights={"a": weights, "b": weights}, masks={"a": masks, "b": masks})
    reading = Reading(["a", "b"])
    assert reading.pop() == {}
    for _ in range(2):
        reading.add(reading_statistics(output, valid, [0, 2]))
    found = reading.pop()
    assert found["mask/mean/a"] == pytest.approx(0.3)  # not the one without a reference, not the one that is NaN
    assert found["mask/mean/b"] == pytest.approx(0.3)
    assert found["dictionary/reference_entropy/a"] == pytest.approx(0.5)  # 1 and 0
    assert found["dictionary/reference_entropy/b"] == pytest.approx(1.0)
    assert reading.pop() == {}


def test_a_step_gives_them_for_every_site(model, batch):
    trained = model()
    trained.step(batch((2, 0, 1)), 1)
    found = trained.statistics()
    kinds = {"usage_entropy", "dead_slots", "reference_entropy", "mean", "deviation", "outside"}
    assert {name.split("/")[1] for name in found} == kinds
    assert len(found) == 9 * len(kinds)
    assert found["mask/mean/mouth_2"] == pytest.approx(0.5, abs=0.2)  # a fresh mask believes both reads alike
    trained.step(batch((0, 0)), 2)
    assert not [name for name in trained.statistics() if name.startswith("mask/")]
