"""Which parameters are trained, and how fast: `train.freeze` and `train.lr_multipliers`, by names of the generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from torch import nn

from dmdnet.errors import ConfigError


def matches(name: str, pattern: str) -> bool:
    """Return whether a parameter, or a part that it lies in, has this name or fits these wildcards (* ? [])."""
    return any(fnmatchcase(part, pattern) for part in _parts(name))


def _parts(name: str) -> list[str]:
    """Return `a`, `a.b`, `a.b.weight` of `a.b.weight`."""
    pieces = name.split(".")
    return [".".join(pieces[:depth]) for depth in range(1, len(pieces) + 1)]


def freeze(network: nn.Module, patterns: Sequence[str]) -> list[nn.Module]:
    """Take the parameters that fit a pattern out of training.

    Return the modules that have no other parameters of their own. They have to be in evaluation mode: power
    iterations and batch norm's statistics would change what they compute all the same.

    Raises:
        ConfigError: a pattern fits nothing, or nothing is left.
    """
    if not patterns:
        return []
    frozen: set[str] = set()
    for pattern in patterns:
        frozen |= set(_named_by(pattern, network, "train.freeze"))
    for name, parameter in network.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError("train.freeze: nothing of network_g is left to train; take patterns out")
    own = {module: list(module.parameters(recurse=False)) for module in network.modules()}
    return [module for module, mine in own.items() if mine and not any(item.requires_grad for item in mine)]


def groups(network: nn.Module, multipliers: Mapping[str, float]) -> list[tuple[float, list[nn.Parameter]]]:
    """Return (factor of the learning rate, trained parameters) for each pattern, then for all others.

    A parameter that fits several patterns belongs to the first.

    Raises:
        ConfigError: a pattern fits nothing that is trained.
    """
    left = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    found: list[tuple[float, list[nn.Parameter]]] = []
    for pattern, factor in multipliers.items():
        names = [name for name in _named_by(pattern, network, "train.lr_multipliers") if name in left]
        if not names:
            raise ConfigError(f"train.lr_multipliers.{pattern}: all it names is frozen or in a group before; remove it")
        found.append((factor, [left.pop(name) for name in names]))
    return [*found, (1.0, list(left.values()))] if left else found


def _named_by(pattern: str, network: nn.Module, option: str) -> list[str]:
    names = [name for name, _ in network.named_parameters()]
    found = [name for name in names if matches(name, pattern)]
    if not found:
        parts = sorted({part for name in names for part in _parts(name)})
        near = get_close_matches(pattern, parts, n=3) or [name for name, _ in network.named_children()]
        raise ConfigError(f"{option}: {pattern!r} fits nothing of {type(network).__name__}; near are {', '.join(near)}")
    return found
