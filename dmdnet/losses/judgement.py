"""What a discriminator says of pictures, whatever the network.

A discriminator is called with pictures (B, 3, H, W) in [-1, 1] and returns a map of logits (B, C, h, w), or a list of
such maps, or a mapping of names to such where it has several parts. What else it can do it says in class attributes:

    takes_boxes = True      called with (pictures, boxes), the component boxes (B, 4, 4) of each picture
    gives_features = True   called with `features=True` it returns (maps, features), features being a list of what
                            its layers gave, (B, C, h, w) each
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Judgement:
    """The logits of each part, and the features where they were asked for, of a batch of pictures.

    A discriminator that has no parts is one part without a name.
    """

    parts: Mapping[str, tuple[Tensor, ...]]
    features: tuple[Tensor, ...] = ()

    def maps(self, part: str | None = None) -> tuple[Tensor, ...]:
        """Return the maps of logits of one part, or of all."""
        if part is not None:
            return self.parts[part]
        return tuple(logits for maps in self.parts.values() for logits in maps)


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
            return Judgement(_by_part(self._call(*arguments)))
        maps, features = self._call(*arguments, features=True)
        return Judgement(_by_part(maps), tuple(features))


def gives_features(network: object) -> bool:
    """Return whether a discriminator can be asked for its features."""
    return bool(getattr(network, "gives_features", False))


def _by_part(logits: Any) -> dict[str, tuple[Tensor, ...]]:
    parts: Mapping[str, Tensor | Sequence[Tensor]] = logits if isinstance(logits, Mapping) else {"": logits}
    return {name: (maps,) if isinstance(maps, Tensor) else tuple(maps) for name, maps in parts.items()}
