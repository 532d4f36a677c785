"""From an option file to its methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from dmdnet.config.options import Options
from dmdnet.errors import ConfigError, WeightsError
from dmdnet.evaluation.methods.base import Method
from dmdnet.evaluation.methods.network import sha256_of
from dmdnet.evaluation.methods.outputs import OutputsMethod
from dmdnet.evaluation.naming import safe_name
from dmdnet.models.base import build_model
from dmdnet.registry import METHODS, plain


def build_methods(options: Options, device: torch.device) -> tuple[Method, ...]:
    """Return the methods of an option file in their order: those of `methods`, else the outputs `val.modes` of
    network_g.

    Raises:
        WeightsError: weights are not named, missing, or do not fit.
        ConfigError: options that contradict each other, or two columns of one name.
    """
    if options.methods:
        methods = tuple(build_method(options, name, device) for name in options.methods)
    else:
        methods = (_outputs(options, device),)
    check_columns(methods)
    return methods


def build_method(options: Options, entry: str, device: torch.device) -> Method:
    """Return the method `methods.<entry>`; errors as `build_methods`."""
    method: Method = METHODS.build(options.methods[entry], entry=entry, options=options, device=device)
    return method


def check_columns(methods: Sequence[Method]) -> None:
    """Raise a ConfigError where two columns have one name."""
    names = [info.name for method in methods for info in method.columns]
    # names become folders, some of them on file systems that know no upper case
    doubled = [name for name, count in Counter(safe_name(name).casefold() for name in names).items() if count > 1]
    if doubled:
        raise ConfigError(f"methods: two of them give a column {doubled[0]!r}; rename one of the entries")


def _outputs(options: Options, device: torch.device) -> Method:
    path = options.path.pretrain_network_g
    if path is None and set(options.val.modes) != {"input"}:
        raise WeightsError(
            f"{options.name}: path.pretrain_network_g names no weights to test; set it, for example to "
            "experiments/<name>/models/net_g_latest.pth, in the file or with --set path.pretrain_network_g=FILE"
        )
    model = build_model(options, device, train=False)
    return OutputsMethod(
        model.restore,
        options.val.modes,
        source=path or "",
        sha256=sha256_of(path) if path else "",
        decides={
            "model": plain(options.model),
            "network": plain(options.network_g),
            "strict": options.path.strict_load_g,
            "deterministic": options.deterministic,
        },
        networks=model.networks(),
    )
