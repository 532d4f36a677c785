"""Weighted means that stay on the device, so that logging costs no host synchronisation per step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Mean(NamedTuple):
    """A sum of values and the number of values in it; both scalars on the device. Ranks and steps simply add up."""

    total: Tensor
    weight: Tensor

    @classmethod
    def of(cls, values_B: Tensor, weights_B: Tensor | None = None) -> Mean:
        """Return the mean of per-sample values, weighted."""
        values_B = values_B.detach().float()
        weights_B = torch.ones_like(values_B) if weights_B is None else weights_B.float()
        return cls((values_B * weights_B).sum(), weights_B.sum())

    @classmethod
    def scalar(cls, value: float | Tensor, device: torch.device) -> Mean:
        """Return one value that has no samples behind it (a learning rate, a norm)."""
        if not isinstance(value, Tensor):
            value = torch.full((), value, dtype=torch.float32, device=device)  # a kernel, not a transfer
        value = value.detach().float()
        return cls(value, torch.ones_like(value))

    def value(self) -> float:
        """Read the mean on the host (a synchronisation); NaN when nothing was added."""
        return float(self.total / self.weight)


def without(terms: Mapping[str, Mean], skip: Tensor) -> dict[str, Mean]:
    """Return the terms of a step, with no value and no weight where `skip`, (), is 1: NaN would spoil every mean."""
    table = torch.stack([item for term in terms.values() for item in term])
    table = torch.where(skip > 0, torch.zeros_like(table), table)
    return {name: Mean(*pair) for name, pair in zip(terms, table.view(-1, 2).unbind(), strict=True)}


class RunningMeans:
    """Adds up the terms of many steps on the device."""

    def __init__(self) -> None:
        self._sums: dict[str, Mean] = {}

    def add(self, terms: Mapping[str, Mean]) -> None:
        """Add the terms of one step."""
        for name, (total, weight) in terms.items():
            if name in self._sums:
                total, weight = self._sums[name].total + total, self._sums[name].weight + weight
            self._sums[name] = Mean(total, weight)

    def pop(self) -> dict[str, Mean]:
        """Return the sums and start again."""
        sums, self._sums = self._sums, {}
        return sums
