"""Losses on VGG19 features: the distance of the features themselves, and of their Gram matrices.

Sources: Johnson et al., ECCV 2016 (perceptual); Gatys et al., CVPR 2016 (Gram matrices as style).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dmdnet.features.vgg import VGG19Features, check_layers
from dmdnet.losses.base import Loss, LossInput, per_sample_mean
from dmdnet.registry import LOSSES
from dmdnet.weights import find_weights, read_state

# The layers and weights of DFDNet's option file (Li et al., ECCV 2020), the same authors' network before DMDNet.
DFDNET_LAYERS: Mapping[str, float] = {"conv1_1": 1 / 16, "conv2_1": 1 / 8, "conv3_1": 1 / 4, "conv4_1": 1.0}


def gram_matrix(features_BCHW: Tensor) -> Tensor:
    """Return F F^T / (C H W) of each sample in float32, (B, C, C) (Gatys et al., eq. 3, normalised)."""
    with torch.autocast(features_BCHW.device.type, enabled=False):
        flat = features_BCHW.float().flatten(2)
        return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


class VGG19Loss(Loss):
    """A weighted sum over VGG19 layers of a mean absolute difference.

    Args:
        layer_weights: layer name ("conv3_1") to its weight; None takes DFDNet's.

    `prepare` raises WeightsError where VGG19's weights are not in the weights folder.

    Raises:
        ConfigError: an unknown layer.
    """

    def __init__(
        self, *, layer_weights: dict[str, float] | None = None, loss_weight: float = 1.0, start_iter: int = 0
    ) -> None:
        super().__init__(loss_weight=loss_weight, start_iter=start_iter)
        self.layer_weights = dict(DFDNET_LAYERS if layer_weights is None else layer_weights)
        check_layers(self.layer_weights)

    def prepare(self, losses: Sequence[Loss], weights_folder: str | None) -> None:
        """Load one VGG19 for all losses of this family: deep enough for the deepest, returning the layers of each."""
        family = [loss for loss in losses if isinstance(loss, VGG19Loss)]
        if family[0] is self:
            state = read_state(find_weights("vgg19", weights_folder))
            self.features = VGG19Features({layer for loss in family for layer in loss.layer_weights}, state)
        else:
            self.features = family[0].features

    @abstractmethod
    def compare(self, pred_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """Return the distance of one layer's features for each sample, (B,)."""

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the term of each sample, (B,)."""
        pred, target = _features_of_pair(self.features, inputs)
        terms = [weight * self.compare(pred[layer], target[layer]) for layer, weight in self.layer_weights.items()]
        return torch.stack(terms).sum(dim=0)


def _features_of_pair(network: VGG19Features, inputs: LossInput) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the features of prediction and target; computed once per picture, the target's without a graph."""
    if network not in inputs.pred_memo:
        inputs.pred_memo[network] = network(inputs.pred_BCHW)
    if network not in inputs.target_memo:
        with torch.no_grad():
            inputs.target_memo[network] = network(inputs.target_BCHW)
    return inputs.pred_memo[network], inputs.target_memo[network]


@LOSSES.register()
class VGG19PerceptualLoss(VGG19Loss):
    """Mean absolute difference of VGG19 features."""

    @property
    def name(self) -> str:
        """The term's short name in logs."""
        return "perceptual"

    def compare(self, pred_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """Return mean |pred - target| of each sample, (B,)."""
        return per_sample_mean((pred_BCHW.float() - target_BCHW.float()).abs())


@LOSSES.register()
class StyleLoss(VGG19Loss):
    """Mean absolute difference of the Gram matrices of VGG19 features."""

    def compare(self, pred_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """Return mean |G(pred) - G(target)| of each sample, (B,)."""
        return per_sample_mean((gram_matrix(pred_BCHW) - gram_matrix(target_BCHW)).abs())
