"""On an accelerator: the same pictures as on the CPU, with TF32 allowed for everything else, and without waiting."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from test_batch_parity import EXAMPLES, as_batch, assert_same, build, draw, pictures

from dmdnet.degradations.pipeline import degrade_batch
from dmdnet.degradations.preset_table import PRESETS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(autouse=True)
def tf32() -> Iterator[None]:
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    yield
    torch.backends.cuda.matmul.fp32_precision = before
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "options", [{"type": name, **EXAMPLES[name]} for name in sorted(EXAMPLES)], ids=sorted(EXAMPLES)
)
def test_every_operation_gives_the_pictures_of_the_cpu(options: dict) -> None:
    compare(build({"type": "Downsample", "scale": (0.8, 4.0)}, options, {"type": "ResizeBack"}), 128)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_give_the_pictures_of_the_cpu_without_waiting(name: str) -> None:
    ops = build({"type": "Preset", "name": name})
    compare(ops, 256)
    images, draws = as_batch(pictures(8, 256, 256)).cuda(), draw(ops, 8, (256, 256))
    torch.cuda.set_sync_debug_mode("error")
    degrade_batch(images, ops, draws)


def compare(ops: tuple, size: int) -> None:
    images, draws = as_batch(pictures(16, size, size)), draw(ops, 16, (size, size))
    there = degrade_batch(images.cuda(), ops, draws).cpu().numpy().astype(np.int64)
    assert_same(np.abs(there - degrade_batch(images, ops, draws).numpy()).mean((1, 2, 3)))
