"""What a batch costs: calls that do not grow with it, no waiting for the host, and canvases no larger than needed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from test_batch_parity import BACK, DOWN, EXAMPLES, as_batch, build, draw, pictures
from torch.utils._python_dispatch import TorchDispatchMode

from dmdnet.degradations.canvas import Canvas
from dmdnet.degradations.pipeline import degrade_batch
from dmdnet.degradations.preset_table import PRESETS
from dmdnet.errors import DataError

# they read the device's memory on the host, or have a result whose shape depends on it
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "item", "equal", "is_nonzero")
# views and allocations launch nothing
FREE = ("view", "expand", "slice", "select.int", "permute", "transpose", "split", "unsqueeze", "squeeze", "unbind")
FREE += ("detach", "alias", "empty", "as_strided", "t.default", "_unsafe_view", "lift_fresh", "reshape", "_to_copy")


class Calls(TorchDispatchMode):
    """Count the operations that torch dispatches."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[str(func).removeprefix("aten.")] += 1
        return func(*args, **(kwargs or {}))

    def launches(self) -> int:
        return sum(n for name, n in self.counts.items() if not name.startswith(FREE))


def calls_of(ops: Any, repeats: int, size: tuple[int, int] = (40, 48)) -> Calls:
    """Degrade the same two pictures with the same draws `repeats` times in one batch."""
    images, draws = as_batch(pictures(2, *size)).repeat(repeats, 1, 1, 1), draw(ops, 2, size, seed=5) * repeats
    degrade_batch(images, ops, draws)  # tables that are made once are there
    with Calls() as calls:
        degrade_batch(images, ops, draws)
    return calls


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"WebPCompression"}))
def test_a_larger_batch_has_as_many_calls_and_none_waits(name: str) -> None:
    ops = build(DOWN, {"type": name, **EXAMPLES[name]}, BACK)
    small, large = calls_of(ops, 1), calls_of(ops, 4)
    assert small.launches() == large.launches()
    assert not [name for name in large.counts if name.startswith(WAITING)]


@pytest.mark.parametrize(
    ("name", "options", "most"),
    [
        ("GaussianBlur", {"sigma": (3.0, 4.0)}, 10),
        ("GaussianNoise", {"sigma": (3.0, 4.0)}, 26),
        ("PoissonNoise", {"scale": (3.0, 4.0)}, 34),
        ("Downsample", {"scale": (2.0, 4.0)}, 12),
        ("Downsample", {"scale": (10.0, 11.0), "modes": ("area",)}, 12),
        ("JPEGCompression", {"quality": (30, 40)}, 40),
        ("ColorJitter", {"contrast": (0.5, 0.6)}, 14),
    ],
)
def test_launches_of_an_operation(name: str, options: dict, most: int) -> None:
    (op,) = build({"type": name, **options})
    images, params = as_batch(pictures(4, 64, 64)), [own[0] for own in draw([op], 4, (64, 64))]
    op.apply_batch(Canvas.of(images), params)
    with Calls() as calls:
        op.apply_batch(Canvas.of(images), params)
    assert calls.launches() <= most


def test_webp_is_the_one_that_goes_through_the_host() -> None:
    ops = build({"type": "WebPCompression", "quality": (50, 60)})
    assert calls_of(ops, 2).counts["_to_copy.default"] > 0
    assert degrade_batch(as_batch(pictures(2, 16, 16)), ops, draw(ops, 2, (16, 16))).shape == (2, 3, 16, 16)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_on_the_meta_device_read_nothing(name: str) -> None:
    """A tensor without data cannot be waited for: whatever looks at a value on the host is an error there."""
    ops = build({"type": "Preset", "name": name})
    images = torch.empty(4, 3, 64, 64, dtype=torch.uint8, device="meta")
    assert degrade_batch(images, ops, draw(ops, 4, (64, 64))).shape == (4, 3, 64, 64)


class TestCanvas:
    def sizes_of(self, *sizes: tuple[int, int]) -> Canvas:
        height, width = max(s[0] for s in sizes), max(s[1] for s in sizes)
        pixels = torch.arange(len(sizes), dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, height, width)
        return Canvas(pixels, sizes)

    def test_small_pictures_leave_a_large_canvas_and_come_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dmdnet.degradations.canvas._WORTH_A_CANVAS", 1)
        canvas = self.sizes_of((200, 160), (30, 28), (190, 10), (31, 30), (90, 70))
        parts = canvas.by_size()
        assert {tuple(rows): part.pixels_BCHW.shape[2:] for rows, part in parts} == {
            (0, 2): (200, 160),
            (1, 3): (31, 30),
            (4,): (90, 70),
        }
        joined = Canvas.joined(parts)
        assert joined.sizes == canvas.sizes
        for row, (height, width) in enumerate(joined.sizes):
            assert (joined.pixels_BCHW[row, :, :height, :width] == row).all()

    def test_stays_whole_where_little_is_saved(self) -> None:
        assert len(self.sizes_of((200, 160), (20, 30)).by_size()) == 1
        assert len(self.sizes_of((2000, 1600), (2000, 1600)).by_size()) == 1

    def test_replaced_pictures_may_be_larger_or_smaller(self) -> None:
        canvas = self.sizes_of((8, 8), (8, 6), (4, 8))
        other = Canvas(torch.full((2, 3, 9, 5), 7.0), ((9, 2), (3, 5)))
        result = canvas.replace((0, 2), other)
        assert result.sizes == ((9, 2), (8, 6), (3, 5))
        assert (result.pixels_BCHW[0, :, :9, :2] == 7).all()
        assert (result.pixels_BCHW[1, :, :8, :6] == 1).all()
        assert (result.pixels_BCHW[2, :, :3, :5] == 7).all()

    def test_refuses_what_is_no_batch(self) -> None:
        with pytest.raises(DataError, match="uint8"):
            Canvas.of(torch.zeros(2, 3, 4, 4))
        with pytest.raises(DataError, match="2 sizes"):
            self.sizes_of((8, 8), (8, 6)).to_uint8()
