"""Several discriminators as one network: one file of weights, one optimiser, one pass."""

from __future__ import annotations

from typing import Annotated, Any

from torch import Tensor, nn

from dmdnet.errors import ConfigError
from dmdnet.registry import ARCHS, Component
from dmdnet.typed import FrozenDict, Named

_USUAL = FrozenDict(
    {"picture": Component("MultiScaleDiscriminator"), "components": Component("ComponentDiscriminator")}
)


@ARCHS.register()
class JointDiscriminator(nn.Module):
    """Discriminators beside each other, each by the name that the option file gives it.

    Adversarial losses choose one by `part`, so that each can have its weight, or take the mean of all.

    Args:
        parts: name -> discriminator, for example one of the whole picture and one of its components. A part may be of
            BasicSR.

    Raises:
        ConfigError: no part, or a name that is not a word.
    """

    takes_boxes = True

    def __init__(self, *, parts: Named[Annotated[Component, ARCHS]] = _USUAL) -> None:
        super().__init__()
        odd = [name for name in parts if not name.isidentifier() or hasattr(nn.ModuleDict, name)]
        if odd or not parts:
            raise ConfigError(
                f"parts: {', '.join(map(repr, odd)) or 'empty'}; give each discriminator a name of letters, like "
                "picture or components"
            )
        self.parts = nn.ModuleDict({name: ARCHS.build(component) for name, component in parts.items()})

    @property
    def gives_features(self) -> bool:
        """Whether any part gives its features; those that do not are left out of them."""
        return any(getattr(part, "gives_features", False) for part in self.parts.values())

    def forward(self, images_BCHW: Tensor, boxes_B44: Tensor, *, features: bool = False) -> Any:
        """Return name -> what the part returns for pictures (B, 3, H, W) in [-1, 1] with boxes (B, 4, 4).

        With `features`, return (that, features) with the features of all parts that give them.
        """
        found: dict[str, Any] = {}
        seen: list[Tensor] = []
        for name, part in self.parts.items():
            arguments = (images_BCHW, boxes_B44) if getattr(part, "takes_boxes", False) else (images_BCHW,)
            if features and getattr(part, "gives_features", False):
                found[name], layers = part(*arguments, features=True)
                seen += layers
            else:
                found[name] = part(*arguments)
        return (found, seen) if features else found
