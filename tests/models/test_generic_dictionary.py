"""The start of the generic dictionary and the statistics of its use."""

import logging
from collections import Counter

import numpy as np
import pytest
import torch

from dmdnet.errors import BoxError, DataError
from dmdnet.models.generic_dictionary import (
    DictionaryUsage,
    dictionary_faces,
    spread_over_identities,
    usage_statistics,
)

IDENTITIES = ["a"] * 5 + ["b"] * 2 + ["c"]


class Face:
    """A face whose pixels tell which one it is."""

    def __init__(self, number, mirrored=False, usable=True):
        self.image = np.full((16, 16, 3), number + 100 * mirrored, np.uint8)
        self.number, self.usable = number, usable

    def flipped(self):
        return Face(self.number, True, self.usable)

    def boxes(self):
        if not self.usable:
            raise BoxError("too small")
        return np.full((4, 4), self.number, np.int32)


class Faces:
    """A data set of such faces; `unusable` have a box that is too small."""

    identities = IDENTITIES

    def __init__(self, unusable=()):
        self.unusable = unusable

    def face(self, record):
        return Face(record, usable=record not in self.unusable)


def test_people_take_turns():
    order = spread_over_identities(IDENTITIES, seed=0)
    assert sorted(order) == list(range(8))
    assert Counter(IDENTITIES[record] for record in order[:3]) == {"a": 1, "b": 1, "c": 1}
    assert Counter(IDENTITIES[record] for record in order[:5]) == {"a": 2, "b": 2, "c": 1}
    assert order == spread_over_identities(IDENTITIES, seed=0)
    assert order != spread_over_identities(IDENTITIES, seed=1)


def test_faces_and_boxes_belong_together():
    images, boxes = dictionary_faces(Faces(), 4, seed=0)
    assert images.shape == (4, 3, 16, 16)
    assert images.dtype == torch.uint8
    assert boxes.shape == (4, 4, 4)
    assert torch.equal(images[:, 0, 0, 0], boxes[:, 0, 0].to(torch.uint8))
    assert len(set(boxes[:, 0, 0].tolist())) == 4


def test_unusable_faces_are_passed_over():
    _, boxes = dictionary_faces(Faces(unusable=(0, 1, 5)), 5, seed=0)
    assert set(boxes[:, 0, 0].tolist()) == {2, 3, 4, 6, 7}
    with pytest.raises(DataError, match="none of 8 has them"):
        dictionary_faces(Faces(unusable=range(8)), 5, seed=0)


def test_unreadable_pictures_are_passed_over_unless_there_is_no_end_of_them(caplog):
    class Damaged(Faces):
        def face(self, record):
            if record in self.unusable:
                raise DataError(f"picture {record} is damaged")
            return Face(record)

    with caplog.at_level(logging.WARNING):
        _, boxes = dictionary_faces(Damaged(unusable=(0, 1, 5)), 5, seed=0)
    assert set(boxes[:, 0, 0].tolist()) == {2, 3, 4, 6, 7}
    assert "picture 5 is damaged" in caplog.text
    with pytest.raises(DataError, match=r"picture \d is damaged"):
        dictionary_faces(Damaged(unusable=range(8)), 5, seed=0)


def test_a_small_set_comes_again_mirrored_and_then_over_again(caplog):
    images, _ = dictionary_faces(Faces(), 14, seed=0)
    assert len({int(image[0, 0, 0]) for image in images}) == 14
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        images, boxes = dictionary_faces(Faces(), 20, seed=0)
    assert images.shape[0] == boxes.shape[0] == 20
    assert "16 training faces, mirrored ones included, for 20 slots" in caplog.text


def test_usage_statistics_by_hand():
    assert usage_statistics(torch.tensor([3.0, 3.0, 3.0, 3.0])) == pytest.approx((1.0, 0.0))
    assert usage_statistics(torch.tensor([7.0, 0.0, 0.0, 0.0])) == pytest.approx((0.0, 0.75))
    assert usage_statistics(torch.tensor([1.0, 1.0, 0.0, 0.0])) == pytest.approx((0.5, 0.5))
    assert usage_statistics(torch.tensor([5.0])) == pytest.approx((1.0, 0.0))


def test_usage_adds_up_over_steps_and_starts_again():
    usage = DictionaryUsage()
    usage.add({"mouth_2": torch.tensor([[1.0, 0.0], [1.0, 0.0]])})
    usage.add({"mouth_2": torch.tensor([[0.0, 1.0], [0.0, 1.0]])})
    assert usage.pop() == pytest.approx({"dictionary/usage_entropy/mouth_2": 1.0, "dictionary/dead_slots/mouth_2": 0.0})
    assert usage.pop() == {}


def test_a_bad_step_does_not_spoil_the_usage():
    usage = DictionaryUsage()
    usage.add({"site": torch.full((2, 4), 0.25)})
    usage.add({"site": torch.full((2, 4), torch.nan)})
    assert usage.pop() == {"dictionary/usage_entropy/site": pytest.approx(1.0), "dictionary/dead_slots/site": 0.0}
    assert usage.pop() == {}
