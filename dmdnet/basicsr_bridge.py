"""Reach the components of an installed BasicSR: `type: basicsr.<Name>`.

Nothing here imports BasicSR until such a type is looked up. Its release 1.4.2 imports a module that torchvision removed
in 0.17; the one function that it wants from there lives on under another name, and stands in during the import.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dmdnet.errors import ConfigError
from dmdnet.typed import nearest

PREFIX = "basicsr."
INSTALL = "pip install basicsr==1.4.2 (Python 3.12 or older)"
_SUFFIX = "_basicsr"  # BasicSR adds it to some of its names and lets people leave it out
_REMOVED_MODULE = "torchvision.transforms.functional_tensor"
_PLAIN = (str, int, float, bool, type(None))


def components(kind: str, registry: str, package: str) -> dict[str, Any]:
    """Return what a registry of BasicSR holds, by name.

    Args:
        kind: what to call it in messages, "network".
        registry: its name in basicsr.utils.registry, "ARCH_REGISTRY".
        package: the package that fills it, "basicsr.archs".

    Raises:
        ConfigError: BasicSR is not installed or cannot be imported.
    """
    if importlib.util.find_spec("basicsr") is None:
        raise ConfigError(f"a {kind} of BasicSR was asked for, and basicsr is not installed: {INSTALL}")
    try:
        with _removed_module():
            importlib.import_module(package)
            table = getattr(importlib.import_module("basicsr.utils.registry"), registry)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the installed basicsr cannot be imported ({error}); known to work: {INSTALL}") from error
    return {name.removesuffix(_SUFFIX): component for name, component in table}


def find(name: str, kind: str, found: Mapping[str, Any]) -> Any:
    """Return the component `name` (without prefix) of `components(...)`.

    Raises:
        ConfigError: there is none; the message names the nearest one.
    """
    key = name.removesuffix(_SUFFIX)
    if key not in found:
        hint = nearest(PREFIX + name, [PREFIX + item for item in found])
        raise ConfigError(f"unknown {kind} type {PREFIX + name!r}; {hint}")
    return found[key]


def constructor(component: Callable[..., Any]) -> Callable[..., Any]:
    """Return a constructor with the same keywords, any type each, that hands on lists where options hold tuples.

    Arguments whose default no option file can spell (a class, a function) are left out.
    """

    @functools.wraps(component, updated=())
    def construct(**options: Any) -> Any:
        return component(**{key: _thawed(value) for key, value in options.items()})

    parameters = [
        parameter.replace(annotation=Any, kind=_keyword(parameter))
        for parameter in inspect.signature(component).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL and _is_plain(parameter.default)
    ]
    set_signature(construct, parameters)
    return construct


def set_signature(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> None:
    """Give `function` the signature that the registry is to read as its schema."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    function.__dict__.pop("__wrapped__", None)


@contextmanager
def _removed_module() -> Iterator[None]:
    """Let `from torchvision.transforms.functional_tensor import rgb_to_grayscale` work inside the block."""
    if importlib.util.find_spec(_REMOVED_MODULE) is not None:
        yield
        return
    from torchvision.transforms.functional import rgb_to_grayscale

    stand_in = types.ModuleType(_REMOVED_MODULE)
    stand_in.rgb_to_grayscale = rgb_to_grayscale  # type: ignore[attr-defined]
    sys.modules[_REMOVED_MODULE] = stand_in
    try:
        yield
    finally:
        del sys.modules[_REMOVED_MODULE]


def _keyword(parameter: inspect.Parameter) -> Any:
    variable = parameter.kind is inspect.Parameter.VAR_KEYWORD
    return parameter.kind if variable else inspect.Parameter.KEYWORD_ONLY


def _is_plain(default: Any) -> bool:
    if isinstance(default, list | tuple):
        return all(_is_plain(item) for item in default)
    return default is inspect.Parameter.empty or isinstance(default, _PLAIN)


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_thawed(item) for item in value]
    return value
