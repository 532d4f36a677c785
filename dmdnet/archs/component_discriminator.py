"""Small spectral-normed discriminators on the eyes and the mouth.

Sources: GFRNet's trainer has component adversarial losses (Li et al., ECCV 2018); GFPGAN's facial component
discriminators (Wang et al., CVPR 2021, section 3.4) look at left eye, right eye and mouth, each with a network of its
own. The networks are those of `MultiScaleDiscriminator`.
"""

from __future__ import annotations

from torch import Tensor, nn

from dmdnet.archs.multi_scale_discriminator import ResidualDiscriminator, with_features
from dmdnet.errors import ConfigError
from dmdnet.faces.boxes import COMPONENTS, USED_COMPONENTS
from dmdnet.ops.component_patches import crop_components
from dmdnet.registry import ARCHS


@ARCHS.register()
class ComponentDiscriminator(nn.Module):
    """A discriminator for each of left eye, right eye and mouth, on what lies in its box.

    Args:
        patch_size: side in pixels to which every box is resized. At 512 pixels an eye's box has some 90, the mouth's
            some 120.
        base_channels: channels after the first convolution; they double at every layer.
        num_layers: halvings.
        max_channels: limit of the doubling.

    A box that is empty is a grey patch, in real and restored pictures alike.

    Raises:
        ConfigError: a number below 1, or patches too small for the halvings.
    """

    takes_boxes = True
    gives_features = True

    def __init__(
        self, *, patch_size: int = 96, base_channels: int = 32, num_layers: int = 3, max_channels: int = 256
    ) -> None:
        super().__init__()
        if min(base_channels, num_layers, max_channels) < 1 or patch_size < 2**num_layers:
            raise ConfigError(
                f"base_channels={base_channels}, num_layers={num_layers}, max_channels={max_channels}: all must be at "
                f"least 1, and patch_size={patch_size} at least 2 ** num_layers"
            )
        self.patch_size = patch_size
        self.components = nn.ModuleDict(
            {COMPONENTS[index]: ResidualDiscriminator(base_channels, num_layers, max_channels)
             for index in USED_COMPONENTS}
        )  # fmt: skip

    def forward(
        self, images_BCHW: Tensor, boxes_B44: Tensor, *, features: bool = False
    ) -> list[Tensor] | tuple[list[Tensor], list[Tensor]]:
        """Return a map of logits (B, 1, h, w) for left eye, right eye and mouth, float32.

        Args:
            images_BCHW: (B, 3, H, W) in [-1, 1].
            boxes_B44: integer x0 y0 x1 y1 of left eye, right eye, nose and mouth.
            features: return (maps, features) instead, with what each block of each network gave.
        """
        maps, seen = [], []
        for index, discriminator in zip(USED_COMPONENTS, self.components.values(), strict=True):
            patch = crop_components(images_BCHW, boxes_B44[:, index], self.patch_size)
            logits, layers = with_features(discriminator, patch)
            maps.append(logits)
            seen += layers
        return (maps, seen) if features else maps
