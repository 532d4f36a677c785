"""Batches on their way to a device; the copy itself needs a GPU."""

import pytest
import torch

from dmdnet.data.batch import FaceBatch, References
from dmdnet.engine.prefetch import moved, on_device


def faces():
    pictures = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    boxes = torch.zeros(2, 4, 4, dtype=torch.int32)
    references = References(pictures[:, None], boxes[:, None], torch.ones(2, 1, dtype=torch.bool))
    return FaceBatch(pictures, boxes, ("a", "b"), ("a", "b"), pictures, boxes, references)


def test_everything_but_the_masks_goes_to_the_device():
    there = moved(faces(), "meta")
    assert there.lq_BCHW.is_meta
    assert there.gt_BCHW.is_meta
    assert there.references.images_BRCHW.is_meta
    assert there.references.mask_BR.device.type == "cpu"
    assert there.wrong_references is None
    assert there.names == ("a", "b")


def test_a_cpu_gets_the_batches_themselves():
    batches = iter([faces()])
    assert on_device(batches, torch.device("cpu")) is batches


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_copy_has_the_same_bytes():
    batch = faces().pin_memory()
    (there,) = on_device(iter([batch]), torch.device("cuda"))
    assert there.lq_BCHW.is_cuda
    assert torch.equal(there.gt_BCHW.cpu(), batch.gt_BCHW)
