"""Where the memory sits: three components at three scales, and how large each patch is.

The scales are named by their stride (2, 4, 8), the number of input pixels to a feature pixel. Published names use the
feature size at 512 px instead (256, 128, 64).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from dmdnet.errors import ConfigError

MEMORY_COMPONENTS = ("left_eye", "right_eye", "mouth")
BOX_ROWS = {"left_eye": 0, "right_eye": 1, "mouth": 3}  # of the four boxes; the nose, row 2, is never read
STRIDES = (2, 4, 8)
_PATCH_AT_512 = {"left_eye": 80, "right_eye": 80, "mouth": 110}


@dataclass(frozen=True)
class Site:
    """One component at one scale: a place that has a query, a dictionary and a fusion of its own."""

    component: str
    level: int  # 0, 1, 2: index of the scale, from fine to coarse
    channels: int
    size: int  # side of the patch, in feature pixels

    @property
    def stride(self) -> int:
        """Input pixels to a feature pixel."""
        return STRIDES[self.level]

    @property
    def name(self) -> str:
        """The key of this site in every mapping, for example "left_eye_2"."""
        return f"{self.component}_{self.stride}"

    @property
    def key_channels(self) -> int:
        """Channels of queries and keys."""
        return self.channels // 4

    @property
    def component_index(self) -> int:
        """Index among the components that have a memory (not the row of the box)."""
        return MEMORY_COMPONENTS.index(self.component)


@dataclass(frozen=True)
class NetworkSize:
    """The three numbers that fix every shape of the network.

    Raises:
        ConfigError: a number that gives no network.
    """

    image_size: int = 512
    base_channels: int = 64
    dictionary_size: int = 128

    def __post_init__(self) -> None:
        if self.image_size % STRIDES[-1] or self.image_size < 32:
            raise ConfigError(f"image_size must be a multiple of 8 and at least 32, not {self.image_size}")
        if self.base_channels < 4:
            raise ConfigError(f"base_channels must be at least 4, not {self.base_channels}")
        if self.dictionary_size < 1:
            raise ConfigError(f"dictionary_size must be at least 1, not {self.dictionary_size}")

    def channels(self, level: int) -> int:
        """Channels of the features at scale `level`."""
        return self.base_channels * 2**level

    def sites(self) -> tuple[Site, ...]:
        """Return the nine sites, scale by scale from fine to coarse, in the order in which they are pasted."""
        return tuple(
            Site(component, level, self.channels(level), self._patch_size(component, stride))
            for level, stride in enumerate(STRIDES)
            for component in MEMORY_COMPONENTS
        )

    def as_dict(self) -> dict[str, int]:
        """Return the constructor's keywords."""
        return asdict(self)

    def _patch_size(self, component: str, stride: int) -> int:
        # Two pixels at least (below 128 px): a channel of one pixel has no deviation to align.
        return max(_PATCH_AT_512[component] * self.image_size // 512 // stride, 2)


def site_boxes(boxes_B44: Tensor, size: NetworkSize) -> tuple[dict[str, Tensor], Tensor]:
    """Return the box (B, 4) of each site in feature pixels, and `present` (B, 3), False for an absent component.

    Boxes are cut to the picture and floor-divided by the stride. A component whose box is then empty at the
    coarsest scale is absent at every scale: its boxes are all zero, so that nothing is read or written there.
    """
    boxes_B44 = boxes_B44.clamp(0, size.image_size)
    coarse_B34 = torch.stack([boxes_B44[:, row] for row in BOX_ROWS.values()], dim=1) // STRIDES[-1]
    present_B3 = (coarse_B34[..., 2:] > coarse_B34[..., :2]).all(-1)
    boxes = {}
    for site in size.sites():
        boxes_B4 = boxes_B44[:, BOX_ROWS[site.component]] // site.stride
        boxes[site.name] = boxes_B4 * present_B3[:, site.component_index, None]
    return boxes, present_B3
