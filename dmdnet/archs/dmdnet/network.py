"""DMDNet: restore a degraded face with what is known of faces in general, and of this person's face.

Li et al., "Learning Dual Memory Dictionaries for Blind Face Restoration", TPAMI 2022, arXiv 2210.08160. This is the
project's own structure; `published.py` maps its names to those of the released weights, which it loads strictly and
whose numbers it gives (tests/golden).

Shape suffixes: B batch, R references (padded), S slots, C channels, H W pixels, 3 components with a memory,
4 boxes x 4 corners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dmdnet.archs.dmdnet import published
from dmdnet.archs.dmdnet.blocks import ResidualBlock, pair
from dmdnet.archs.dmdnet.checks import check_faces, check_outputs, check_references
from dmdnet.archs.dmdnet.decoder import Decoder
from dmdnet.archs.dmdnet.dictionary import GenericDictionary, KeyValueHeads, read_specific
from dmdnet.archs.dmdnet.encoder import EncodedFace, FeatureEncoder
from dmdnet.archs.dmdnet.fusion import MaskStatistics, MemoryFusion
from dmdnet.archs.dmdnet.layout import NetworkSize, site_boxes
from dmdnet.archs.dmdnet.specific_dictionary import SpecificDictionary
from dmdnet.errors import BoxError, NetworkInputError
from dmdnet.ops.component_patches import crop_components
from dmdnet.registry import ARCHS


@dataclass(frozen=True, eq=False)
class DMDNetOutput:
    """Restored faces (B, 3, H, W) in [-1, 1], None where not asked for, and detached statistics by site name."""

    generic: Tensor | None
    specific: Tensor | None
    generic_weights: dict[str, Tensor] = field(default_factory=dict)  # (B, S), rows sum to 1
    specific_weights: dict[str, Tensor] = field(default_factory=dict)  # (B, R), rows sum to 1, or 0: no reference
    masks: dict[str, MaskStatistics] = field(default_factory=dict)  # (B,), how far the specific read is believed


@ARCHS.register()
class DMDNet(nn.Module):
    """Dual memory dictionary network.

    Args:
        image_size: side of the pictures in pixels, a multiple of 8.
        base_channels: channels at stride 2; twice and four times as many at strides 4 and 8.
        dictionary_size: slots of the generic dictionary.

    Only the defaults fit the published weights.

    Raises:
        ConfigError: numbers that give no network.
    """

    def __init__(self, *, image_size: int = 512, base_channels: int = 64, dictionary_size: int = 128) -> None:
        super().__init__()
        self.size = NetworkSize(image_size, base_channels, dictionary_size)
        self.sites = self.size.sites()
        self.degraded_encoder = FeatureEncoder(self.size)
        self.reference_encoder = FeatureEncoder(self.size)
        self.query_heads = nn.ModuleDict({site.name: pair(site.channels, site.key_channels) for site in self.sites})
        self.reference_heads = KeyValueHeads(self.size)
        self.generic = GenericDictionary(self.size)
        self.fusion = MemoryFusion(self.size)
        self.decoder = Decoder(self.size)
        self.unused_reference_queries = published.UnusedQueries(self.size)

    def forward(
        self,
        lq_BCHW: Tensor,
        boxes_B44: Tensor,
        dictionary: SpecificDictionary | None = None,
        outputs: Sequence[str] = ("generic", "specific"),
    ) -> DMDNetOutput:
        """Restore degraded faces.

        Args:
            lq_BCHW: (B, 3, image_size, image_size), floating point in [-1, 1].
            boxes_B44: integer x0 y0 x1 y1 in pixels of the input: left eye, right eye, nose, mouth. Boxes are cut
                to the picture; a component without a pixel at stride 8 is left as the encoder gives it.
            dictionary: of B people, or of one, who then serves the whole batch.
            outputs: "generic", "specific" or both; only these are computed. Without a dictionary there is no
                specific output.

        Raises:
            NetworkInputError: wrong shapes or types, an unknown output, or nothing to compute.
        """
        check_faces(lq_BCHW, boxes_B44, self.size.image_size, "degraded faces")
        wanted = check_outputs(outputs, dictionary, len(lq_BCHW), self.size)
        face = self.encode(lq_BCHW, boxes_B44)
        generic = self.generic.read(face.queries)
        patches = {"generic": {name: read.values for name, read in generic.items()}}
        specific_weights: dict[str, Tensor] = {}
        masks: dict[str, MaskStatistics] = {}
        if dictionary is not None and "specific" in wanted:
            specific = read_specific(face.queries, dictionary, self.size)
            readable_B3 = dictionary.valid_B3R.any(-1)
            patches["specific"], masks = self.fusion.merge(face, specific, generic, readable_B3)
            specific_weights = {name: read.weights.detach() for name, read in specific.items()}
        # All versions in one run: each convolution makes one power iteration a forward in training.
        styles = self.fusion.paste(face, [patches[name] for name in wanted])
        pictures = self.decoder(face.features[-1], styles).chunk(len(wanted))
        restored = dict(zip(wanted, pictures, strict=True))
        generic_weights = {name: read.weights.detach() for name, read in generic.items()}
        return DMDNetOutput(restored.get("generic"), restored.get("specific"), generic_weights, specific_weights, masks)

    def enrol(self, refs: Tensor, boxes: Tensor, mask: Tensor | None = None) -> SpecificDictionary:
        """Encode the references of people.

        Args:
            refs: (R, 3, H, W) of one person, or (B, R, 3, H, W) padded; floating point in [-1, 1].
            boxes: integer, (R, 4, 4) or (B, R, 4, 4).
            mask: (B, R) bool, True where there is a reference; None: everywhere. A mask in host memory lets the
                network skip the padding; one on another device is not read, and the padding is encoded too.

        Raises:
            NetworkInputError: wrong shapes or types.
        """
        if refs.dim() == 4:
            refs, boxes = refs[None], boxes[None]
        check_references(refs, boxes, mask, self.size.image_size)
        shape = refs.shape[:2]
        mask_BR = refs.new_ones(shape, dtype=torch.bool) if mask is None else mask.to(refs.device, non_blocking=True)
        rows = None if mask is None else _rows_to_encode(mask, refs.device)
        images, image_boxes = refs.flatten(0, 1), boxes.flatten(0, 1)
        if rows is not None:
            images, image_boxes = images[rows], image_boxes[rows]
        keys, values, present_N3 = self.encode_dictionary(images, image_boxes)
        valid_BR3 = _to_slots(present_N3, rows, shape) & mask_BR[..., None]
        return SpecificDictionary(
            {name: _to_slots(item, rows, shape) for name, item in keys.items()},
            {name: _to_slots(item, rows, shape) for name, item in values.items()},
            valid_BR3.transpose(1, 2).contiguous(),
            self.size.image_size,
            self.size.base_channels,
        )

    def encode(self, lq_BCHW: Tensor, boxes_B44: Tensor) -> EncodedFace:
        """Return features, crops and queries of degraded faces."""
        features = self.degraded_encoder(lq_BCHW)
        boxes, present_B3 = site_boxes(boxes_B44, self.size)
        crops = self._crop(features, boxes)
        queries = {name: head(crops[name]) for name, head in self.query_heads.items()}
        return EncodedFace(features, boxes, present_B3, crops, queries)

    def encode_dictionary(
        self, images_NCHW: Tensor, boxes_N44: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        """Return one key and one value per site and picture, and `present` (N, 3): whether its box was not empty."""
        features = self.reference_encoder(images_NCHW)
        boxes, present_N3 = site_boxes(boxes_N44, self.size)
        keys, values = self.reference_heads(self._crop(features, boxes))
        return keys, values, present_N3

    @torch.no_grad()
    def initialise_generic_dictionary(self, images_SCHW: Tensor, boxes_S44: Tensor, chunk: int = 8) -> None:
        """Fill the generic dictionary with encoded faces, one slot each.

        Args:
            images_SCHW: `dictionary_size` faces, floating point in [-1, 1], on any device.
            boxes_S44: their boxes, integer.
            chunk: faces that are encoded at once.

        Raises:
            NetworkInputError: wrong shapes or types.
            BoxError: a face lacks a component (its box is empty at stride 8).
        """
        check_faces(images_SCHW, boxes_S44, self.size.image_size, "faces of the generic dictionary")
        slots = self.size.dictionary_size
        if len(images_SCHW) != slots:
            raise NetworkInputError(f"the generic dictionary needs {slots} faces, one a slot, not {len(images_SCHW)}")
        present_S3 = site_boxes(boxes_S44, self.size)[1]
        lacking = (~present_S3).any(-1).nonzero().flatten().tolist()
        if lacking:
            raise BoxError(f"faces {lacking} have an empty eye or mouth box; choose others for the generic dictionary")
        device = next(self.parameters()).device
        training = self.training
        self.eval()  # no power iteration
        for start in range(0, slots, chunk):
            images, boxes = images_SCHW[start : start + chunk], boxes_S44[start : start + chunk]
            keys, values, _ = self.encode_dictionary(images.to(device), boxes.to(device))
            self.generic.assign(start, keys, values)
        self.train(training)

    def checkpoint_blocks(self) -> list[nn.Module]:
        """Return the blocks whose activations can be computed again for the backward pass; none lies in another."""
        residual = [layer for layer in self.decoder.to_rgb if isinstance(layer, ResidualBlock)]
        encoders = [*self.degraded_encoder.stages, *self.reference_encoder.stages]
        return [*encoders, self.decoder.context, *self.decoder.blocks, *residual]

    def compile_regions(self) -> list[nn.Module]:
        """Return the parts that torch.compile speeds up and leaves correct.

        Not the decoder: inductor (torch 2.11, CPU) loses its gradient to the finest styles, where eager and
        aot_eager agree with each other (tests/models/test_recomputing.py).
        """
        return [self.degraded_encoder, self.reference_encoder]

    @classmethod
    def published_options(cls, state: Mapping[str, object]) -> dict[str, int] | None:
        """Return the constructor's options for a state dict under the published names, or None for other names."""
        size = published.published_size(state)
        return None if size is None else size.as_dict()

    def load_published_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Load the released weights, strictly.

        Raises:
            WeightsError: lists missing and unexpected keys and wrong shapes.
        """
        self.load_state_dict(published.from_published(state, self.state_dict(), self.size))

    def published_state_dict(self) -> dict[str, Tensor]:
        """Return the state under the published names; the tensors are shared with the network."""
        return published.to_published(self.state_dict(), self.size)

    def _crop(self, features: Sequence[Tensor], boxes: dict[str, Tensor]) -> dict[str, Tensor]:
        return {site.name: crop_components(features[site.level], boxes[site.name], site.size) for site in self.sites}


def _rows_to_encode(mask_BR: Tensor, device: torch.device) -> Tensor | None:
    """Return the indices of the real references among B * R, or None to encode all."""
    if mask_BR.device.type != "cpu" or bool(mask_BR.all()):
        return None
    rows = mask_BR.flatten().nonzero().flatten()
    # One row at least: gradients (zero) then exist for every weight, which distributed training relies on.
    return (rows if len(rows) else rows.new_zeros(1)).to(device, non_blocking=True)


def _to_slots(encoded: Tensor, rows: Tensor | None, shape: torch.Size) -> Tensor:
    """Return what was encoded of `rows` in its place among (B, R), zeros elsewhere."""
    if rows is not None:
        encoded = encoded.new_zeros(shape.numel(), *encoded.shape[1:]).index_copy(0, rows, encoded)
    return encoded.unflatten(0, shape)
