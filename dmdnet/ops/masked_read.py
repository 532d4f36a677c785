"""Read a dictionary: softmax over slots of the similarity of whole patches, then the weighted sum of the values.

    weights = softmax_s( <query, key_s> / sqrt(number of valid slots) ),  read = sum_s weights_s value_s

Neither side is normalised. The sum is one matrix product, so the values are never copied per sample.

Shape suffixes: B batch (or 1, shared by the whole batch of queries), S slots, D and E flattened patches.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dmdnet.ops.precision import at_least_float32, full_float32_products


class DictionaryRead(NamedTuple):
    """What was read, and the weight of each slot (they sum to 1, or to 0 where no slot is valid)."""

    values: Tensor  # (B, C, H, W)
    weights: Tensor  # (B, S)


def read_dictionary(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> DictionaryRead:
    """Read one patch for each query.

    Args:
        query: (B, K, H, W).
        keys: (S, K, H, W), one dictionary for all queries, or (B, S, K, H, W), one each; a leading 1 serves all.
        values: (S, C, H, W), or (B, S, C, H, W) as the keys.
        mask: (B, S) bool (or (1, S)), True where a slot is valid; None: all are.

    Returns:
        The read patches (B, C, H, W) and the weights (B, S), float32 also under autocast (float64 for float64).
        Where no slot is valid both are zero, and so are their gradients. Invalid slots need not be finite numbers
        in the keys, but must be in the values.
    """
    if keys.dim() == query.dim() + 1 and keys.shape[0] == 1:
        keys, values = keys[0], values[0]
    patch = values.shape[-3:]
    with full_float32_products(query.device):
        query, keys, values = (at_least_float32(tensor) for tensor in (query, keys, values))
        weights_BS = slot_weights(_similarity(query, keys), mask)
        if values.dim() == 4:
            read_BE = weights_BS @ values.flatten(1)
        else:
            read_BE = torch.bmm(weights_BS[:, None], values.flatten(2))[:, 0]
    return DictionaryRead(read_BE.unflatten(-1, patch), weights_BS)


def slot_weights(similarity_BS: Tensor, mask_BS: Tensor | None = None) -> Tensor:
    """Return the softmax over valid slots of similarity / sqrt(number of valid slots); zeros where there are none."""
    if mask_BS is None:
        return torch.softmax(similarity_BS / similarity_BS.shape[-1] ** 0.5, dim=-1)
    temperature_B1 = mask_BS.sum(-1, keepdim=True).clamp(min=1).to(similarity_BS.dtype).sqrt()
    # A finite floor, not -inf: a row without a valid slot would be NaN, and NaN in the gradient even when masked.
    floor = torch.finfo(similarity_BS.dtype).min
    scores_BS = torch.where(mask_BS, similarity_BS, 0.0) / temperature_B1
    return torch.softmax(scores_BS.masked_fill(~mask_BS, floor), dim=-1) * mask_BS


def _similarity(query: Tensor, keys: Tensor) -> Tensor:
    """Return the dot products (B, S) of whole patches.

    They run over tens of thousands of products and go into a softmax undivided by their number: one long float32
    sum (a plain matrix product) is off by 1e-3 there, and differs with the shape of the batch. Sums of sums are
    not: by channel for the shared dictionary, by torch's cascade for dictionaries of a person each.
    """
    query_BKP = query.flatten(2)
    if keys.dim() == query.dim():
        return torch.einsum("bkp,skp->kbs", query_BKP, keys.flatten(2)).sum(0)
    return (keys.flatten(3) * query_BKP[:, None]).flatten(2).sum(-1)
