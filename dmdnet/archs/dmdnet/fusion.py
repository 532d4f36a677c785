"""What happens to a read patch: merge specific and generic, align the style, fuse by confidence, paste back.

Shape suffixes: B batch, C channels, H W pixels, 3 components, N several versions of a batch one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from dmdnet.archs.dmdnet.blocks import pair
from dmdnet.archs.dmdnet.encoder import EncodedFace
from dmdnet.archs.dmdnet.layout import NetworkSize
from dmdnet.ops.component_patches import paste_components
from dmdnet.ops.masked_read import DictionaryRead
from dmdnet.ops.precision import at_least_float32, without_autocast
from dmdnet.ops.spectral_norm import SpectralConv2d

_EPS = 1e-5


def align_style(patch_BCHW: Tensor, reference_BCHW: Tensor) -> Tensor:
    """Give each channel of the patch the mean and deviation of the reference's (Huang and Belongie 2017, eq. 8).

    The variance is unbiased, plus 1e-5; in float32 also under autocast.
    """
    with without_autocast(patch_BCHW.device):
        patch_BCHW = at_least_float32(patch_BCHW)
        mean, std = _channel_statistics(patch_BCHW)
        reference_mean, reference_std = _channel_statistics(at_least_float32(reference_BCHW))
        return (patch_BCHW - mean) / std * reference_std + reference_mean


def _channel_statistics(x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(x_BCHW, dim=(-2, -1), keepdim=True)
    return mean, (variance + _EPS).sqrt()


class MaskStatistics(NamedTuple):
    """What is to be seen of one mask of a merge, per sample (B,), detached.

    `outside`: the share of its values that are not in [0, 1], where the specific read is not mixed in but carried
    beyond itself, or against itself.
    """

    mean: Tensor
    deviation: Tensor
    outside: Tensor

    @classmethod
    def of(cls, mask_BCHW: Tensor) -> MaskStatistics:
        """Return the statistics of a mask (B, C, H, W)."""
        mask_BN = mask_BCHW.detach().flatten(1)
        variance, mean = torch.var_mean(mask_BN, dim=1, correction=0)
        outside_BN = (mask_BN - 0.5).abs_() > 0.5
        return cls(mean, variance.sqrt(), outside_BN.float().mean(dim=1))


class MergeMask(nn.Module):
    """How much of the specific read to believe, per channel and pixel. Not limited to [0, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // 3
        self.crop = pair(channels, narrow)
        self.specific = pair(channels, narrow)
        self.generic = pair(channels, narrow)
        self.join = pair(3 * narrow, channels)
        # A fresh mask believes both reads alike: at 0 the references would start without a gradient of their own.
        nn.init.constant_(cast(SpectralConv2d, self.join[-1]).bias, 0.5)

    def forward(self, crop_BCHW: Tensor, specific_BCHW: Tensor, generic_BCHW: Tensor) -> Tensor:
        """Return the mask (B, C, H, W) from the degraded crop and both reads."""
        branches = (self.crop(crop_BCHW), self.specific(specific_BCHW), self.generic(generic_BCHW))
        return self.join(torch.cat(branches, dim=1))


class ComponentFusion(nn.Module):
    """Merge, style alignment and confidence at one site."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mask = MergeMask(channels)
        self.confidence = pair(channels, channels)

    def merge(
        self, crop_BCHW: Tensor, specific_BCHW: Tensor, generic_BCHW: Tensor, readable_B: Tensor
    ) -> tuple[Tensor, MaskStatistics]:
        """Return mask * specific + (1 - mask) * generic, and what is to be seen of the mask.

        Where `readable_B` is False the person has no reference of this component: the generic read is returned.
        """
        mask_BCHW = at_least_float32(self.mask(crop_BCHW, specific_BCHW, generic_BCHW))
        merged_BCHW = mask_BCHW * specific_BCHW + (1 - mask_BCHW) * generic_BCHW
        merged_BCHW = torch.where(readable_B[:, None, None, None], merged_BCHW, generic_BCHW)
        return merged_BCHW, MaskStatistics.of(mask_BCHW)

    def fuse(self, crop_BCHW: Tensor, aligned_BCHW: Tensor) -> Tensor:
        """Return confidence * aligned + crop, the confidence read from their difference."""
        return self.confidence(aligned_BCHW - crop_BCHW) * aligned_BCHW + crop_BCHW


class MemoryFusion(nn.Module):
    """Merges the two reads and writes them into the features of the degraded face, at every site.

    Args:
        size: the network's size.
    """

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.sites = size.sites()
        self.at_site = nn.ModuleDict({site.name: ComponentFusion(site.channels) for site in self.sites})

    def merge(
        self,
        face: EncodedFace,
        specific: Mapping[str, DictionaryRead],
        generic: Mapping[str, DictionaryRead],
        readable_B3: Tensor,
    ) -> tuple[dict[str, Tensor], dict[str, MaskStatistics]]:
        """Return the merged patches by site, and what is to be seen of their masks.

        `readable_B3` is False where a person has no reference of a component; the generic read stands in there.
        """
        merged, masks = {}, {}
        for site in self.sites:
            merged[site.name], masks[site.name] = self._at(site.name).merge(
                face.crops[site.name],
                specific[site.name].values,
                generic[site.name].values,
                readable_B3[:, site.component_index],
            )
        return merged, masks

    def paste(self, face: EncodedFace, versions: Sequence[Mapping[str, Tensor]]) -> list[Tensor]:
        """Return the features at strides 2, 4, 8 with the patches of every version pasted, (N, C, H, W).

        The order is left eye, right eye, mouth: a later one covers an earlier one where their boxes overlap.
        """
        count = len(versions)
        pasted = [tile(features, count) for features in face.features]
        for site in self.sites:
            crop_NCHW = tile(face.crops[site.name], count)
            aligned_NCHW = align_style(torch.cat([patches[site.name] for patches in versions]), crop_NCHW)
            fused_NCHW = self._at(site.name).fuse(crop_NCHW, aligned_NCHW)
            boxes_N4 = tile(face.boxes[site.name], count)
            pasted[site.level] = paste_components(pasted[site.level], fused_NCHW, boxes_N4)
        return pasted

    def _at(self, name: str) -> ComponentFusion:
        return cast(ComponentFusion, self.at_site[name])


def tile(x: Tensor, count: int) -> Tensor:
    """Return `count` copies of the batch, one after the other; the same tensor for one."""
    return x if count == 1 else x.repeat(count, *(1,) * (x.dim() - 1))
