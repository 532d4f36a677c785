"""What the engine asks of a training method (BasicSR calls it a model): networks, one step, restoring, state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dmdnet.archs.loading import WeightsKey, load_network_state
from dmdnet.config.options import Options
from dmdnet.data.batch import FaceBatch
from dmdnet.errors import ConfigError
from dmdnet.models.means import Mean
from dmdnet.registry import ARCHS, MODELS, Component


class Model(ABC):
    """A training method. The engine calls, in this order: `setup` or `load_*`, `distribute`, then `step` for ever.

    Attributes:
        before_update: what `step` calls before it changes any tensor of `changed_by_updates`; a save in the background
            may still be copying them.
    """

    before_update: Callable[[], None] = staticmethod(lambda: None)

    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """Return the trained networks by file name: `net_g`, and `net_d` where there is one."""

    @abstractmethod
    def setup(self, dataset: Any) -> None:
        """Prepare what is learned from the data before iteration 1. Not called on resuming."""

    @abstractmethod
    def distribute(self) -> None:
        """Wrap for data-parallel training, once the weights are in place and if several ranks run."""

    @abstractmethod
    def step(self, batch: FaceBatch, iteration: int) -> dict[str, Mean]:
        """Train on one batch; `iteration` counts from 1. Return the terms to log, on the device.

        A step whose numbers are not finite changes nothing; what is to be said of it, `settle` says.

        Raises:
            NonFiniteLossError: as `settle`, where the model sees at once that the run has to end.
        """

    def settle(self) -> None:  # noqa: B027  (a model that looks at each step at once has nothing to settle)
        """Look at what the steps have left on the device to be looked at. All ranks call it together, now and then.

        Raises:
            NonFiniteLossError: a loss or a gradient was not finite and the run is to end; nothing was updated since.
        """

    def statistics(self) -> dict[str, float]:
        """Return what is worth logging only now and then, gathered since the last call. All ranks call it together."""
        return {}

    @abstractmethod
    def restore(self, batch: FaceBatch, modes: Sequence[str], use_ema: bool = True) -> dict[str, Tensor]:
        """Return mode -> restored pictures, float RGB [-1, 1] (B, 3, H, W), without gradients."""

    @abstractmethod
    def weights(self) -> dict[str, dict[str, Any]]:
        """Return what goes into `<network>_<iter>.pth`: {"net_g": {"params", "params_ema", "network"}, ...}."""

    @abstractmethod
    def load_weights(self, weights: Mapping[str, Mapping[str, Any]]) -> None:
        """Take `weights()` back.

        Raises:
            CheckpointError: the networks differ; the message lists the keys.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what else training needs to go on: the optimisers."""

    def changed_by_updates(self) -> list[Tensor]:
        """Return the tensors of `weights` and `state_dict` that a step leaves alone until it calls `before_update`."""
        return []

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take `state_dict()` back."""


def build_network(component: Component, seed: int, device: torch.device | str) -> nn.Module:
    """Return a network with initial weights drawn from `seed`; torch's own generators are left as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        network = ARCHS.build(component)
    return network.to(device)


def build_model(options: Options, device: torch.device | str, train: bool = True, *, pretrained: bool = True) -> Model:
    """Return the model of an option file with its networks, pretrained weights loaded where `path` names some.

    Args:
        train: build what training needs as well (discriminator, losses, optimisers, EMA).
        pretrained: load the weights that `path` names; False where a checkpoint takes their place, so that a run
            goes on after the file that it once began from has gone.

    Raises:
        ConfigError: weights are named for a discriminator that the options do not have.
        WeightsError: named weights are missing or do not fit.
    """
    if train and options.network_d is None and options.path.pretrain_network_d is not None:
        raise ConfigError(
            f"path.pretrain_network_d: {options.path.pretrain_network_d} has no network to go into; add network_d or "
            "take it out"
        )
    device = torch.device(device)
    networks = {"net_g": build_network(options.network_g, options.manual_seed, device)}
    if train and options.network_d is not None:
        networks["net_d"] = build_network(options.network_d, options.manual_seed + 1, device)
    files = {"net_g": options.path.pretrain_network_g, "net_d": options.path.pretrain_network_d}
    for name, network in networks.items():
        path = files[name] if pretrained else None
        if path is not None:
            key: WeightsKey = "params_ema" if name == "net_g" else "params"
            load_network_state(network, path, key=key, strict=name != "net_g" or options.path.strict_load_g)
    model: Model = MODELS.build(options.model, options=options, networks=networks, device=device, train=train)
    return model
