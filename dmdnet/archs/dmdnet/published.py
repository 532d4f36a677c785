"""The names of the released weights (`DMDNet.pth`), and ours.

`dmdnet_state_dict.tsv` of the released file has 1014 keys; every one has a place here and back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from dmdnet.archs.dmdnet.blocks import pair
from dmdnet.archs.dmdnet.layout import STRIDES, NetworkSize, Site
from dmdnet.archs.state_fit import misfit
from dmdnet.errors import WeightsError

_COMPONENT = {"left_eye": "LE", "right_eye": "RE", "mouth": "MO"}
_MEMORY = {name: code.lower() for name, code in _COMPONENT.items()}


class UnusedQueries(nn.Module):
    """Query weights of the reference encoder. The released file holds them; no output depends on them.

    They are buffers: kept and written back unchanged, never trained and never run.
    """

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({site.name: pair(site.channels, site.key_channels) for site in size.sites()})
        for module in self.heads.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                delattr(module, name)
                module.register_buffer(name, parameter.detach())


def published_size(state: Mapping[str, object]) -> NetworkSize | None:
    """Return the network size of a state dict under the published names, or None when the names are others.

    Channels and slots are read off the shapes. The patch sizes leave a few image sizes open; the roundest is taken,
    the one that most powers of two divide: 512 for the released file.
    """
    found = {name: state.get(f"{component}_256_mem_value") for name, component in _MEMORY.items()}
    values = {name: item for name, item in found.items() if isinstance(item, Tensor) and item.dim() == 4}
    if "E_lq.conv1.0.weight_orig" not in state or len(values) < len(_MEMORY):
        return None
    slots, channels = values["mouth"].shape[:2]
    patches = {name: item.shape[-1] for name, item in values.items()}
    sizes = [NetworkSize(image_size, max(channels, 4), max(slots, 1)) for image_size in range(32, 2049, 8)]
    fitting = [size for size in sizes if {site.component: site.size for site in size.sites()[:3]} == patches]
    return max(fitting, key=lambda size: size.image_size & -size.image_size, default=NetworkSize())


def to_published(state: Mapping[str, Tensor], size: NetworkSize) -> dict[str, Tensor]:
    """Return a state dict of ours under the published names."""
    prefixes = dict(_prefixes(size))
    return {_rename(key, prefixes): tensor for key, tensor in state.items()}


def from_published(state: Mapping[str, Tensor], own: Mapping[str, Tensor], size: NetworkSize) -> dict[str, Tensor]:
    """Return a released state dict under our names.

    Args:
        state: under the published names.
        own: the state dict of the network that is to take it, for its keys and shapes.
        size: the size of that network.

    Raises:
        WeightsError: lists missing keys, unexpected keys and wrong shapes.
    """
    prefixes = dict(_prefixes(size))
    names = {_rename(key, prefixes): key for key in own}
    defects = misfit({name: own[key] for name, key in names.items()}, state)
    if defects:
        raise WeightsError(f"these published weights do not fit a DMDNet of {size}; {defects}")
    return {key: state[name] for name, key in names.items()}


def _rename(key: str, prefixes: dict[str, str]) -> str:
    """Replace the longest known prefix of dotted names."""
    parts = key.split(".")
    for end in range(len(parts), 0, -1):
        prefix = prefixes.get(".".join(parts[:end]))
        if prefix is not None:
            return ".".join([prefix, *parts[end:]])
    raise KeyError(f"{key} has no published name")


def _prefixes(size: NetworkSize) -> Iterator[tuple[str, str]]:
    """Yield (our prefix, published prefix); together they cover every key."""
    for ours, theirs in (("degraded_encoder", "E_lq"), ("reference_encoder", "E_hq")):
        for level in range(len(STRIDES)):
            for block in range(2):
                number = 2 * level + block + 1
                yield f"{ours}.stages.{level}.{2 * block}", f"{theirs}.conv{number}"
                yield f"{ours}.stages.{level}.{2 * block + 1}.body", f"{theirs}.res{number}.Res"
    for site in size.sites():
        yield from _site_prefixes(site)
    for branch in range(4):
        yield f"decoder.context.branches.{branch}", f"MSDilate.conv{branch + 1}"
    yield "decoder.context.join", "MSDilate.convi"
    for block in range(3):
        ours, theirs = f"decoder.blocks.{block}", f"up{block + 1}"
        yield f"{ours}.narrow", f"{theirs}.conv1"
        yield f"{ours}.scale", f"{theirs}.ScaleModel1"
        yield f"{ours}.shift", f"{theirs}.ShiftModel1"
        yield f"{ours}.refine.0", f"{theirs}.convup.1"
        yield f"{ours}.refine.2", f"{theirs}.convup.3"
    yield "decoder.to_rgb.0", "up4.0"
    yield "decoder.to_rgb.2.body", "up4.2.Model"
    yield "decoder.to_rgb.3.body", "up4.3.Model"
    yield "decoder.to_rgb.4", "up4.4"


def _site_prefixes(site: Site) -> Iterator[tuple[str, str]]:
    name, scale = site.name, 512 // site.stride
    theirs = f"{_COMPONENT[site.component]}_{scale}"
    memory = theirs.lower() + "_mem"
    yield f"generic.key_patches.{name}", f"{memory}_key"
    yield f"generic.value_patches.{name}", f"{memory}_value"
    yield f"query_heads.{name}", f"E_lq.{theirs}_Q.Query"
    yield f"unused_reference_queries.heads.{name}", f"E_hq.{theirs}_Q.Query"
    yield f"reference_heads.key_heads.{name}", f"{theirs}_KV.Key"
    yield f"reference_heads.value_heads.{name}", f"{theirs}_KV.Value"
    fusion = f"fusion.at_site.{name}"
    yield f"{fusion}.mask.crop", f"{theirs}_Mask.conv1"
    yield f"{fusion}.mask.specific", f"{theirs}_Mask.conv2"
    yield f"{fusion}.mask.generic", f"{theirs}_Mask.conv3"
    yield f"{fusion}.mask.join", f"{theirs}_Mask.convCat"
    yield f"{fusion}.confidence", f"{theirs}_Attention"
