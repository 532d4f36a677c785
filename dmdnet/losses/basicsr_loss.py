"""Losses of an installed BasicSR: `type: basicsr.CharbonnierLoss`.

Only those that compare a prediction with a target pixel by pixel can give a value per sample, which the models need;
the others (adversarial, perceptual) have counterparts of our own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from dmdnet import basicsr_bridge
from dmdnet.errors import ConfigError
from dmdnet.losses.base import Loss, LossInput, per_sample_mean

_OURS = ("loss_weight", "reduction")  # the weight is applied by the model, the reduction is ours


class BasicSRLoss(Loss):
    """A pixel loss of BasicSR, unreduced, as a loss of this project.

    Args:
        inner: called with prediction and target (B, C, H, W), returns values of the same shape.
        label: its name in logs.
    """

    def __init__(self, inner: nn.Module, label: str, *, loss_weight: float = 1.0, start_iter: int = 0) -> None:
        super().__init__(loss_weight=loss_weight, start_iter=start_iter)
        self.inner = inner
        self.label = label

    @property
    def name(self) -> str:
        """The term's short name in logs: `basicsr.CharbonnierLoss` is `charbonnier`."""
        return self.label.removesuffix("Loss").lower()

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the mean of the loss over each sample, (B,)."""
        return per_sample_mean(self.inner(inputs.pred_BCHW, inputs.target_BCHW))


def find(name: str) -> Callable[..., Loss]:
    """Return the constructor of a loss of BasicSR, by its name without the prefix.

    Raises:
        ConfigError: BasicSR is missing, has no such loss, or the loss gives no value per pixel.
    """
    found = basicsr_bridge.components("loss", "LOSS_REGISTRY", "basicsr.losses")
    usable = {key: component for key, component in found.items() if _is_pixel_loss(component)}
    if name in found and name not in usable:
        known = ", ".join(basicsr_bridge.PREFIX + key for key in sorted(usable))
        raise ConfigError(
            f"basicsr.{name} gives no value per pixel, and the models need one per sample; usable: {known}"
        )
    construct = basicsr_bridge.constructor(basicsr_bridge.find(name, "loss", usable))

    def make(*, loss_weight: float = 1.0, start_iter: int = 0, **options: Any) -> Loss:
        inner = construct(loss_weight=1.0, reduction="none", **options)
        return BasicSRLoss(inner, name, loss_weight=loss_weight, start_iter=start_iter)

    theirs = [item for item in inspect.signature(construct).parameters.values() if item.name not in _OURS]
    ours = [
        inspect.Parameter("loss_weight", inspect.Parameter.KEYWORD_ONLY, default=1.0, annotation=float),
        inspect.Parameter(
            "start_iter", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=Annotated[int, Field(ge=0)]
        ),
    ]
    basicsr_bridge.set_signature(make, [*ours, *theirs])
    return make


def _is_pixel_loss(component: Any) -> bool:
    if not inspect.isclass(component):
        return False
    arguments = list(inspect.signature(getattr(component, "forward", component)).parameters)[1:3]
    return arguments == ["pred", "target"] and "reduction" in inspect.signature(component).parameters
