"""Batches on their way to a GPU, while it still computes the step before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dmdnet.data.batch import FaceBatch


def on_device(batches: Iterator[FaceBatch], device: torch.device, wanted: bool = True) -> Iterator[FaceBatch]:
    """Return the batches on `device`; those for a CPU, or where it is not wanted, as they are.

    The copy runs in a stream of its own, from page-locked memory: the host comes here when it has launched a step,
    which the GPU is still busy with.
    """
    return _copied_beside(batches, device) if wanted and device.type == "cuda" else batches


def moved(batch: FaceBatch, device: torch.device | str) -> FaceBatch:
    """Return the batch on `device`, but for the reference masks: on the host the network reads them for nothing."""
    there = batch.to(device, non_blocking=True)
    for name in ("references", "wrong_references"):
        references = getattr(batch, name)
        if references is not None:
            there = replace(there, **{name: replace(getattr(there, name), mask_BR=references.mask_BR)})
    return there


def _copied_beside(batches: Iterator[FaceBatch], device: torch.device) -> Iterator[FaceBatch]:
    stream = torch.cuda.Stream(device)
    for batch in batches:
        with torch.cuda.stream(stream):
            there = moved(batch, device)
        current = torch.cuda.current_stream(device)
        current.wait_stream(stream)
        for tensor in _tensors(there):
            if tensor.is_cuda:
                tensor.record_stream(current)  # its memory is not given away before the step has used it
        yield there


def _tensors(value: Any) -> Iterator[Tensor]:
    for item in fields(value):
        part = getattr(value, item.name)
        if isinstance(part, Tensor):
            yield part
        elif is_dataclass(part):
            yield from _tensors(part)
