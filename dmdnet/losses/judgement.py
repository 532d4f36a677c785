"""What a discriminator says of pictures, whatever the network.

A discriminator is called with pictures (B, 3, H, W) in [-1, 1] and returns a map of logits (B, C, h, w), or a list of
such maps. What else it can do it says in class attributes:

    takes_boxes = True      called with (pictures, boxes), the component boxes (B, 4, 4) of each picture
    gives_features = True   called with `features=True` it returns (maps, features), features being a list of what
                            its layers gave, (B, C, h, w) each
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Judgement:
    """The logits, and the features where they were asked for, of a batch of pictures."""

    maps: tuple[Tensor, ...]
    features: tuple[Tensor, ...] = ()


class Judge:
    """Calls a discriminator as it wants to be called.

    Args:
        network: the discriminator, or any callable of that manner.
        call: what to call in its place, when it is wrapped.
        features: ask it for its features.
    """

    def __init__(
        self, network: Callable[..., Any], *, call: Callable[..., Any] | None = None, features: bool = False
    ) -> None:
        self._call = call or network
        self._takes_boxes = bool(getattr(network, "takes_boxes", False))
        self._features = features

    def __call__(self, images_BCHW: Tensor, boxes_B44: Tensor) -> Judgement:
        """Return what the discriminator says of the pictures, whose components are in the boxes."""
        arguments = (images_BCHW, boxes_B44) if self._takes_boxes else (images_BCHW,)
        if not self._features:
            return Judgement(_maps(self._call(*arguments)))
        maps, features = self._call(*arguments, features=True)
        return Judgement(_maps(maps), tuple(features))


def gives_features(network: object) -> bool:
    """Return whether a discriminator can be asked for its features."""
    return bool(getattr(network, "gives_features", False))


def _maps(logits: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (logits,) if isinstance(logits, Tensor) else tuple(logits)
