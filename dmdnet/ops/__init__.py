"""What torch lacks: batched component patches, the masked dictionary read, spectral-normed convolution."""

from dmdnet.ops.component_patches import crop_components, paste_components
from dmdnet.ops.masked_read import DictionaryRead, read_dictionary
from dmdnet.ops.spectral_norm import SpectralConv2d

__all__ = ["DictionaryRead", "SpectralConv2d", "crop_components", "paste_components", "read_dictionary"]
