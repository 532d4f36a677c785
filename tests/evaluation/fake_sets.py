"""A small set of faces made of noise, and methods whose scores are known beforehand."""

from __future__ import annotations

import numpy as np
import torch

from dmdnet.data.batch import FaceBatch, References
from dmdnet.images import to_float

SIZE = 48
BOXES = torch.tensor([[6, 10, 20, 22], [27, 10, 41, 22], [18, 18, 30, 30], [12, 28, 36, 42]], dtype=torch.int32)
# grey levels by which a method misses the target everywhere
ERRORS = {"input": 32, "generic": 16, "specific": 8, "wrong_person": 16}


def noise(seed: int, *shape: int) -> torch.Tensor:
    """Return uint8 pictures between 60 and 190, so that adding an error never saturates."""
    rng = np.random.Generator(np.random.Philox(seed))
    return torch.from_numpy(rng.integers(60, 190, (*shape, 3, SIZE, SIZE), dtype=np.uint8))


def picture(number: int, references: int = 2) -> dict:
    """Return the fields of picture `number`: three pictures per person."""
    gt = noise(number)
    return {
        "name": f"{number // 3:05d}/{number % 3}.png",
        "identity": f"{number // 3:05d}",
        "gt": gt,
        "lq": gt + ERRORS["input"],
        "references": noise(1000 + number, 2),
        "mask": torch.arange(2) < references,
    }


def batch_of(pictures: list[dict], gt: bool = True, references: bool = True, wrong: bool = True) -> FaceBatch:
    """Return a batch; the flags leave parts of it out."""
    boxes = BOXES.repeat(len(pictures), 1, 1)
    refs = References(
        torch.stack([item["references"] for item in pictures]),
        boxes[:, None].repeat(1, 2, 1, 1),
        torch.stack([item["mask"] for item in pictures]),
    )
    return FaceBatch(
        lq_BCHW=torch.stack([item["lq"] for item in pictures]),
        lq_boxes_B44=boxes,
        names=tuple(item["name"] for item in pictures),
        identities=tuple(item["identity"] for item in pictures),
        gt_BCHW=torch.stack([item["gt"] for item in pictures]) if gt else None,
        gt_boxes_B44=boxes if gt else None,
        references=refs if references else None,
        wrong_references=refs if wrong else None,
    )


def batches(numbers=range(12), size: int = 2, **parts: bool) -> list[FaceBatch]:
    """Return the pictures of these numbers, `size` a batch."""
    numbers = list(numbers)
    return [batch_of([picture(n) for n in numbers[i : i + size]], **parts) for i in range(0, len(numbers), size)]


def restore(batch: FaceBatch, modes: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Miss the target by ERRORS, and by one more grey level in every other person."""
    odd = torch.tensor([ord(identity[-1]) % 2 for identity in batch.identities], dtype=torch.uint8)[:, None, None, None]
    target = batch.lq_BCHW - ERRORS["input"]
    return {mode: to_float(target + ERRORS[mode] + odd) for mode in modes}


def decibels(error: float) -> float:
    """Return the PSNR of an error that is the same everywhere."""
    return float(20 * np.log10(255 / error))
