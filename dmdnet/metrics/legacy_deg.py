"""The restoration literature's identity angle ("Deg."), as its scripts measure it; under names of its own.

Papers print two numbers under one name: GFPGAN and VQFR (and PMRF) degrees of pictures made grey as OpenCV reads them;
RestoreFormer and DAEFR radians of pictures whose red and blue are exchanged. Nothing is aligned: the whole picture
is shrunk to 128 pixels. They are here to be put beside printed numbers; `IdentitySimilarity` is the better measure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dmdnet.faces.backend import DEFAULT_BACKEND
from dmdnet.features.gray_arcface import SIDE, GrayArcFace, load_gray_arcface
from dmdnet.images import to_float, to_hwc
from dmdnet.metrics.faces import FaceComparison
from dmdnet.ops.precision import full_float32_products
from dmdnet.registry import METRICS

Convention = Literal["gfpgan", "vqfr", "restoreformer"]
_LUMA = (0.2989, 0.5870, 0.1140)


@METRICS.register()
class LegacyDeg(FaceComparison):
    """Angle between the embeddings of restored picture and target, the whole pictures shrunk to 128 grey pixels.

    It needs arcface_resnet18.pth (`python -m dmdnet weights`). It is written from descriptions of the scripts and has
    not been compared with their output. A picture that a method lacks is treated like everywhere here: RestoreFormer's
    script leaves it out of the sum and divides by the number of targets all the same.

    Args:
        convention: `gfpgan`: degrees; grey as OpenCV reads it, the picture and its mirror image embedded and their
            vectors joined. `vqfr`: the same, and pictures closer than 1 degree to the target have no value. This
            makes the mean larger, the better a method is. `restoreformer`: radians; the luma weights of red and blue
            exchanged, no mirror image.
    """

    higher_is_better: ClassVar[bool] = False
    network: GrayArcFace

    def __init__(self, *, convention: Convention = "gfpgan") -> None:
        super().__init__(against="target", landmarks="target", face_backend=DEFAULT_BACKEND, aligned=False)
        self.convention: Convention = convention
        self.rule = _RULES[convention]
        self.undefined = f"closer than {self.rule.least:g} degree" if self.rule.least else ""
        self.recipe = f"legacy_deg@{convention}/resnet18_110/{self.rule.details}"

    def prepare(self, weights_folder: str | None) -> None:
        """Load the recogniser; see `Metric.prepare`."""
        self.network = load_gray_arcface(weights_folder)

    @property
    def key(self) -> Hashable:
        """The network and what it sees."""
        return self.network, self.rule.gray, self.rule.mirrored

    def describe(self, pictures_NCHW: Tensor, landmarks_N682: Tensor | None) -> Tensor:
        """Return embeddings (N, 512), or (N, 1024) with those of the mirror images."""
        gray_N1HW = self.rule.gray(pictures_NCHW)
        views = [gray_N1HW, gray_N1HW.flip(-1)] if self.rule.mirrored else [gray_N1HW]
        with full_float32_products(pictures_NCHW.device):
            return torch.cat([self.network(view) for view in views], dim=1)

    def compare(self, one_ND: Tensor, other_ND: Tensor) -> Tensor:
        """Return angles (N,)."""
        angle_N = F.cosine_similarity(one_ND, other_ND, dim=1).clamp(-1, 1).acos() * self.rule.unit
        return torch.where(angle_N < self.rule.least, torch.nan, angle_N) if self.rule.least else angle_N


def _opencv_gray(pictures_NCHW: Tensor) -> Tensor:
    """Return 8-bit luma shrunk by OpenCV's bilinear resize, (N, 1, 128, 128) in [-1, 1]; no averaging."""
    found = np.stack(
        [
            cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
            for rgb in to_hwc(pictures_NCHW)
        ]
    )
    return to_float(torch.from_numpy(found).to(pictures_NCHW.device))[:, None]


def _exchanged_gray(pictures_NCHW: Tensor) -> Tensor:
    """Return luma with red and blue exchanged, shrunk bilinearly, (N, 1, 128, 128) in [-1, 1]; no averaging."""
    weights = torch.tensor(_LUMA[::-1], device=pictures_NCHW.device)
    gray = (to_float(pictures_NCHW) * weights[:, None, None]).sum(dim=1, keepdim=True)
    return F.interpolate(gray, (SIDE, SIDE), mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class _Rule:
    """How one line of papers measures; `least` is the smallest angle that counts."""

    details: str
    gray: Callable[[Tensor], Tensor]
    mirrored: bool
    unit: float
    least: float = 0.0


_RULES: dict[Convention, _Rule] = {
    "gfpgan": _Rule("gray128/mirrored/degrees", _opencv_gray, True, 180 / math.pi),
    "vqfr": _Rule("gray128/mirrored/degrees/from1", _opencv_gray, True, 180 / math.pi, least=1.0),
    "restoreformer": _Rule("bgr-gray128/radians", _exchanged_gray, False, 1.0),
}
