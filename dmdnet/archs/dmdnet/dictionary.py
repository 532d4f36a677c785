"""The two memories: the generic dictionary, learnt, and the specific dictionary of a person, encoded from references.

Shape suffixes: B people, R reference slots (padded), S slots, 3 components in the order of MEMORY_COMPONENTS.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmdnet.archs.dmdnet.blocks import pair
from dmdnet.archs.dmdnet.layout import NetworkSize
from dmdnet.archs.dmdnet.specific_dictionary import SpecificDictionary
from dmdnet.ops.masked_read import DictionaryRead, read_dictionary

_INITIAL_STD = 0.1


class GenericDictionary(nn.Module):
    """`dictionary_size` key and value patches per site, shared by all people; parameters.

    They start as noise, which serves only to be overwritten: by weights, or by encoded faces (`assign`).
    """

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.sites = size.sites()
        slots = size.dictionary_size
        self.key_patches = nn.ParameterDict(
            {site.name: _noise(slots, site.key_channels, site.size) for site in self.sites}
        )
        self.value_patches = nn.ParameterDict(
            {site.name: _noise(slots, site.channels, site.size) for site in self.sites}
        )

    def read(self, queries: dict[str, Tensor]) -> dict[str, DictionaryRead]:
        """Return what every site reads for its queries (B, C / 4, s, s)."""
        return {
            site.name: read_dictionary(queries[site.name], self.key_patches[site.name], self.value_patches[site.name])
            for site in self.sites
        }

    @torch.no_grad()
    def assign(self, start: int, keys: dict[str, Tensor], values: dict[str, Tensor]) -> None:
        """Copy encoded faces into the slots from `start` on."""
        for name, key_patch in self.key_patches.items():
            stop = start + len(keys[name])
            key_patch[start:stop].copy_(keys[name])
            self.value_patches[name][start:stop].copy_(values[name])


def _noise(slots: int, channels: int, size: int) -> nn.Parameter:
    patches = torch.empty(slots, channels, size, size)
    return nn.Parameter(patches if patches.is_meta else patches.normal_(std=_INITIAL_STD))


class KeyValueHeads(nn.Module):
    """Makes one slot per site out of the crops of a reference."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        sites = size.sites()
        self.key_heads = nn.ModuleDict({site.name: pair(site.channels, site.key_channels) for site in sites})
        self.value_heads = nn.ModuleDict({site.name: pair(site.channels, site.channels) for site in sites})

    def forward(self, crops: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return keys (N, C / 4, s, s) and values (N, C, s, s) by site."""
        keys = {name: head(crops[name]) for name, head in self.key_heads.items()}
        values = {name: head(crops[name]) for name, head in self.value_heads.items()}
        return keys, values


def read_specific(
    queries: dict[str, Tensor], dictionary: SpecificDictionary, size: NetworkSize
) -> dict[str, DictionaryRead]:
    """Return what every site reads from the people's own slots; zeros where a person has none for a component."""
    return {
        site.name: read_dictionary(
            queries[site.name],
            dictionary.keys[site.name],
            dictionary.values[site.name],
            dictionary.valid_B3R[:, site.component_index],
        )
        for site in size.sites()
    }
