"""Networks from weight files: our own (`net_g_<iter>.pth`), or a published one that is known by its keys.

Ours: a dict with "params", "params_ema" (when there is an average) and "network", the component's `type` and options;
or `net_g_<iter>.safetensors`, which has one set of weights, the average where there is one.
A published file is a plain state dict; a network that has one offers `published_options(state)`, its options if the
state is of that kind and else None, and `load_published_state_dict(state)`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import nn

from dmdnet.archs.state_fit import fits, listed, misfit
from dmdnet.errors import ConfigError, WeightsError
from dmdnet.registry import ARCHS, Component
from dmdnet.tensor_files import NotTensors, read_tensors
from dmdnet.typed import frozen

WeightsKey = Literal["params", "params_ema"]


def load_network(
    path: str | os.PathLike[str], device: torch.device | str = "cpu", prefer_ema: bool = True
) -> nn.Module:
    """Return the network of a weights file with its weights, in evaluation mode.

    Args:
        path: a `.pth` of ours, or a published file.
        device: where to put it.
        prefer_ema: take the averaged weights when the file has them.

    Raises:
        WeightsError: the file is missing, damaged, or does not say which network it is of.
    """
    content = read_weights(path)
    component = _component_of(content, path)
    try:
        _check_claim(component, content, path)
        net: nn.Module = ARCHS.build(component)
    except ConfigError as error:
        raise WeightsError(f"{path}: its network cannot be made: {error}") from error
    key: WeightsKey = "params_ema" if prefer_ema and "params_ema" in content else "params"
    _load(net, content, path, key=key, strict=True)
    return net.to(device).eval()


def _check_claim(component: Component, content: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Hold the network that a file claims against its tensors before any memory is taken for it."""
    state = content.get("params")
    if not isinstance(state, Mapping):
        return
    with torch.device("meta"):
        claimed: nn.Module = ARCHS.build(component)
    defects = misfit(claimed.state_dict(), state)
    if defects:
        raise WeightsError(f"{path}: does not fit the network that it names; {defects}")


def load_network_state(
    net: nn.Module, path: str | os.PathLike[str], key: WeightsKey = "params_ema", strict: bool = True
) -> None:
    """Load the weights of a file of ours or a published one into a network, in place.

    Args:
        net: takes the weights; keeps its device.
        path: the file.
        key: which weights of a file of ours; "params" serves where "params_ema" is missing.
        strict: False takes what fits by name and shape and leaves the rest; a published file has to fit whole.

    Raises:
        WeightsError: the file is missing or damaged, or (strict) does not fit the network; nothing is changed then.
    """
    _load(net, read_weights(path), path, key=key, strict=strict)


def read_weights(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the content of a `.pth` or `.safetensors` file on the CPU; nothing in it is executed.

    Raises:
        WeightsError: the file is missing, damaged, not a dict, or holds more than tensors and plain values.
    """
    try:
        content = read_tensors(path)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: there is no such weights file; train first, or name another file") from error
    except IsADirectoryError as error:
        raise WeightsError(f"{path}: is a folder; name a weights file in it") from error
    except (OSError, NotTensors) as error:
        raise WeightsError(
            f"{path}: is damaged or not a file of weights only ({error}); get it again, or take a net_g_<iter>.pth "
            "or the published DMDNet.pth"
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, not a dict of weights")
    return content


def published_component(state: Mapping[str, Any]) -> Component | None:
    """Return the network that a published state dict belongs to, found by its keys, or None."""
    for name in ARCHS.names():
        recognise = getattr(ARCHS.get(name), "published_options", None)
        options = recognise(state) if recognise else None
        if options is not None:
            return ARCHS.component(name, **options)
    return None


def _component_of(content: Mapping[str, Any], path: str | os.PathLike[str]) -> Component:
    network = content.get("network")
    if isinstance(network, Mapping) and isinstance(network.get("type"), str):
        options = {str(key): frozen(value) for key, value in network.items() if key != "type"}
        try:
            return ARCHS.component(network["type"], **options)
        except ValidationError as error:
            reasons = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            raise WeightsError(f"{path}: its network {network['type']} cannot be made: {reasons}") from error
        except ConfigError as error:
            raise WeightsError(f"{path}: its network cannot be made: {error}") from error
    component = published_component(published_state(content))
    if component is None:
        raise WeightsError(
            f"{path}: has no 'network' entry and is no published file that is known here; "
            "take a net_g_<iter>.pth of an experiment's models folder, or the published DMDNet.pth"
        )
    return component


def published_state(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the state dict of a published file, which may be wrapped as BasicSR does."""
    for key in ("params_ema", "params"):
        if isinstance(content.get(key), Mapping):
            return content[key]
    return content


def _load(
    net: nn.Module, content: Mapping[str, Any], path: str | os.PathLike[str], *, key: WeightsKey, strict: bool
) -> None:
    published = published_state(content)
    load_published = getattr(net, "load_published_state_dict", None)
    if load_published and published_component(published):
        try:
            load_published(published)
        except WeightsError as error:
            raise WeightsError(f"{path}: {error}") from error
        return
    state = content.get(key, content.get("params"))
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path}: has neither {key!r} nor 'params'; it holds {listed([str(k) for k in content])}")
    own = net.state_dict()
    defects = misfit(own, state) if strict else None
    if defects:
        raise WeightsError(f"{path}: does not fit the network; {defects}")
    net.load_state_dict({name: item for name, item in state.items() if name in own and fits(own[name], item)}, strict)
