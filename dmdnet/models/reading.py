"""How the network reads what it knows of a person: its masks, and how it spreads over the references.

Shape suffixes: B batch, R references, S sites, K kinds of statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

KINDS = ("mask/mean", "mask/deviation", "mask/outside", "dictionary/reference_entropy")


@torch.no_grad()
def reading_statistics(output: Any, valid_B3R: Tensor, components: Sequence[int]) -> Tensor:
    """Return sums over the batch and the numbers of samples in them, (K, S, 2), on the device; kinds are KINDS.

    A mask counts for the samples that have a reference of its component. `reference_entropy` says how evenly a read
    is spread over references: the entropy of its weights divided by the logarithm of their number, for the samples
    that have two or more.

    Args:
        output: of the network: `masks` and `specific_weights` by site.
        valid_B3R: which references have which component.
        components: the number of the component of each site, in the order of the output's.
    """
    valid_SBR = torch.stack([valid_B3R[:, component] for component in components])
    count_SB = valid_SBR.sum(-1)
    weights_SBR = torch.stack(list(output.specific_weights.values())).float()
    entropy_SB = torch.special.entr(weights_SBR).sum(-1) / count_SB.clamp(min=2).float().log()
    masks_KSB = torch.stack([torch.stack(tuple(mask)) for mask in output.masks.values()], dim=1).float()
    values_KSB = torch.cat([masks_KSB, entropy_SB[None]])
    counts_KSB = torch.cat([(count_SB > 0).expand(len(masks_KSB), -1, -1), (count_SB > 1)[None]])
    counts_KSB = counts_KSB & values_KSB.isfinite()
    values_KSB = torch.where(counts_KSB, values_KSB, torch.zeros_like(values_KSB))
    return torch.stack([values_KSB.sum(-1), counts_KSB.float().sum(-1)], dim=-1)


class Reading:
    """Adds up the statistics of many steps on the device; the host reads them when they are asked for.

    Args:
        sites: their names.
    """

    def __init__(self, sites: Sequence[str]) -> None:
        self._sites = sites
        self._table: Tensor | None = None

    def add(self, table_KS2: Tensor) -> None:
        """Add the `reading_statistics` of one step."""
        self._table = table_KS2 if self._table is None else self._table + table_KS2

    def pop(self) -> dict[str, float]:
        """Return `<kind>/<site>` over all ranks, where anything counted, and start again."""
        table, self._table = self._table, None
        if table is None:
            return {}
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(table)
        rows = zip(KINDS, table.tolist(), strict=True)
        return {
            f"{kind}/{site}": total / count
            for kind, row in rows
            for site, (total, count) in zip(self._sites, row, strict=True)
            if count
        }
