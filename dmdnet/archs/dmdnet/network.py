"""DMDNet: restore a degraded face with what is known of faces in general, and of this person's face.

Li et al., "Learning Dual Memory Dictionaries for Blind Face Restoration", TPAMI 2022, arXiv 2210.08160. This is the
project's own structure; `published.py` maps its names to those of the released weights, which it loads strictly and
whose numbers it gives (tests/golden).

Shape suffixes: B batch, R references (padded), S slots, C channels, H W pixels, 4 boxes x 4 corners, N several
versions of a batch one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dmdnet.archs.dmdnet import published
from dmdnet.archs.dmdnet.blocks import pair
from dmdnet.archs.dmdnet.checks import check_faces, check_mask
from dmdnet.archs.dmdnet.decoder import Decoder
from dmdnet.archs.dmdnet.dictionary import GenericDictionary, KeyValueHeads, read_specific
from dmdnet.archs.dmdnet.encoder import EncodedFace, FeatureEncoder
from dmdnet.archs.dmdnet.fusion import ComponentFusion, align_style
from dmdnet.archs.dmdnet.layout import NetworkSize, site_boxes
from dmdnet.archs.dmdnet.specific_dictionary import SpecificDictionary
from dmdnet.errors import BoxError, NetworkInputError
from dmdnet.ops.component_patches import crop_components, paste_components
from dmdnet.registry import ARCHS

OUTPUTS = ("generic", "specific")


@dataclass(frozen=True, eq=False)
class DMDNetOutput:
    """Restored faces (B, 3, H, W) in [-1, 1], None where not asked for, and detached statistics by site name."""

    generic: Tensor | None
    specific: Tensor | None
    generic_weights: dict[str, Tensor] = field(default_factory=dict)  # (B, S), rows sum to 1
    specific_weights: dict[str, Tensor] = field(default_factory=dict)  # (B, R), rows sum to 1, or 0: no reference
    mask_means: dict[str, Tensor] = field(default_factory=dict)  # (B,), how far the specific read is believed


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
        self.fusions = nn.ModuleDict({site.name: ComponentFusion(site.channels) for site in self.sites})
        self.decoder = Decoder(self.size)
        self.unused_reference_queries = published.UnusedQueries(self.size)

    def forward(
        self,
        lq_BCHW: Tensor,
        boxes_B44: Tensor,
        dictionary: SpecificDictionary | None = None,
        outputs: Sequence[str] = OUTPUTS,
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
            NetworkInputError: wrong shapes or types, or an unknown output.
        """
        check_faces(lq_BCHW, boxes_B44, self.size.image_size, "degraded faces")
        wanted = self._wanted(outputs, dictionary, len(lq_BCHW))
        face = self.encode(lq_BCHW, boxes_B44)
        generic = self.generic.read(face.queries)
        generic_weights = {name: read.weights.detach() for name, read in generic.items()}
        versions = {"generic": {name: read.values for name, read in generic.items()}}
        specific_weights, mask_means = {}, {}
        if "specific" in wanted:
            assert dictionary is not None
            specific = read_specific(face.queries, dictionary, self.size)
            versions["specific"], mask_means = self.merge(face, specific, generic, dictionary)
            specific_weights = {name: read.weights.detach() for name, read in specific.items()}
        pictures = self.decode(face, [versions[name] for name in wanted])
        restored = dict(zip(wanted, pictures, strict=True))
        return DMDNetOutput(
            restored.get("generic"), restored.get("specific"), generic_weights, specific_weights, mask_means
        )

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
        if refs.dim() != 5 or boxes.dim() != 4 or boxes.shape[:2] != refs.shape[:2]:
            raise NetworkInputError(
                f"references must be (R, 3, H, W) with boxes (R, 4, 4), or both with a leading B; "
                f"not {tuple(refs.shape)} with {tuple(boxes.shape)}"
            )
        people, slots = refs.shape[:2]
        images, image_boxes = refs.flatten(0, 1), boxes.flatten(0, 1)
        check_faces(images, image_boxes, self.size.image_size, "references")
        if mask is None:
            mask = torch.ones(people, slots, dtype=torch.bool, device=refs.device)
            rows = None
        else:
            check_mask(mask, (people, slots))
            rows = _rows_to_encode(mask, refs.device)
            mask = mask.to(refs.device, non_blocking=True)
        if rows is not None:
            images, image_boxes = images[rows], image_boxes[rows]
        keys, values, present_N3 = self.encode_dictionary(images, image_boxes)

        def to_slots(encoded: Tensor) -> Tensor:
            if rows is not None:
                encoded = encoded.new_zeros(people * slots, *encoded.shape[1:]).index_copy(0, rows, encoded)
            return encoded.unflatten(0, (people, slots))

        valid_B3R = (to_slots(present_N3) & mask[..., None]).transpose(1, 2).contiguous()
        return SpecificDictionary(
            {name: to_slots(item) for name, item in keys.items()},
            {name: to_slots(item) for name, item in values.items()},
            valid_B3R,
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

    def merge(
        self,
        face: EncodedFace,
        specific: dict,
        generic: dict,
        dictionary: SpecificDictionary,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the merged reads by site (generic where a person has no reference), and the masks' means (B,)."""
        readable_B3 = dictionary.valid_B3R.any(-1)
        merged, means = {}, {}
        for site in self.sites:
            name = site.name
            merged[name], means[name] = self.fusions[name].merge(
                face.crops[name], specific[name].values, generic[name].values, readable_B3[:, site.component_index]
            )
        return merged, means

    def decode(self, face: EncodedFace, versions: Sequence[dict[str, Tensor]]) -> list[Tensor]:
        """Return one restored batch for each version of the reads, all decoded in one run.

        One run, because every convolution makes one power iteration a forward in training.
        """
        count = len(versions)
        pasted = [_tile(features, count) for features in face.features]
        for site in self.sites:
            name = site.name
            crop_NCHW = _tile(face.crops[name], count)
            aligned_NCHW = align_style(torch.cat([reads[name] for reads in versions]), crop_NCHW)
            fused_NCHW = self.fusions[name].fuse(crop_NCHW, aligned_NCHW)
            pasted[site.level] = paste_components(pasted[site.level], fused_NCHW, _tile(face.boxes[name], count))
        return list(self.decoder(face.features[-1], pasted).chunk(count))

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
        if len(images_SCHW) != self.size.dictionary_size:
            raise NetworkInputError(
                f"the generic dictionary has {self.size.dictionary_size} slots and needs as many faces, "
                f"not {len(images_SCHW)}"
            )
        absent = (~site_boxes(boxes_S44, self.size)[1]).any(-1).nonzero().flatten().tolist()
        if absent:
            raise BoxError(f"faces {absent} have an empty eye or mouth box; choose others for the generic dictionary")
        device = next(self.parameters()).device
        parts = (self.reference_encoder, self.reference_heads)
        modes = [part.training for part in parts]
        for part in parts:
            part.eval()
        for start in range(0, len(images_SCHW), chunk):
            images, boxes = images_SCHW[start : start + chunk], boxes_S44[start : start + chunk]
            keys, values, _ = self.encode_dictionary(images.to(device), boxes.to(device))
            self.generic.assign(keys, values, start)
        for part, mode in zip(parts, modes, strict=True):
            part.train(mode)

    @classmethod
    def published_options(cls, state: Mapping[str, object]) -> dict[str, int] | None:
        """Return the constructor's options for a released state dict, or None when the keys are not DMDNet's."""
        return NetworkSize().as_dict() if published.is_published(state) else None

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

    def _wanted(self, outputs: Sequence[str], dictionary: SpecificDictionary | None, batch: int) -> list[str]:
        """Return the outputs to compute, in their fixed order."""
        unknown = [name for name in outputs if name not in OUTPUTS]
        if unknown or isinstance(outputs, str):
            raise NetworkInputError(f"outputs must be among {OUTPUTS}, not {outputs!r}")
        if dictionary is not None:
            defect = dictionary.defect(self.size)
            if defect:
                raise NetworkInputError(defect)
            if len(dictionary) not in (1, batch):
                raise NetworkInputError(
                    f"the dictionary holds {len(dictionary)} people: it must be 1, or {batch} as the batch"
                )
        wanted = [name for name in OUTPUTS if name in outputs and (name == "generic" or dictionary is not None)]
        if not wanted:
            raise NetworkInputError(f"outputs {tuple(outputs)} without a dictionary leave nothing to compute")
        return wanted


def _rows_to_encode(mask_BR: Tensor, device: torch.device) -> Tensor | None:
    """Return the indices of the real references among B * R, or None to encode all."""
    if mask_BR.device.type != "cpu" or bool(mask_BR.all()):
        return None
    rows = mask_BR.flatten().nonzero().flatten()
    # One row at least: gradients (zero) then exist for every weight, which distributed training relies on.
    return (rows if len(rows) else torch.zeros(1, dtype=torch.long)).to(device, non_blocking=True)


def _tile(x: Tensor, count: int) -> Tensor:
    """Return `count` copies of the batch, one after the other; the same tensor for one."""
    return x if count == 1 else x.repeat(count, *(1,) * (x.dim() - 1))
