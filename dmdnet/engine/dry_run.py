"""`--dry-run`: build everything that a run builds, print it, and stop before the first iteration."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from torch import nn

from dmdnet.config import Options, to_yaml
from dmdnet.config.options import PHASES
from dmdnet.data.batch import References
from dmdnet.data.checks import check_apart
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.data.reference_face_dataset import Phase
from dmdnet.models.base import Model, build_model


def dry_run(options: Options) -> None:
    """Print the resolved options, the networks with their parameter counts, and the shapes of one batch of each set.

    Raises:
        DMDNetError: whatever would stop the run itself: missing data, missing weights, a size that does not fit.
    """
    print("# resolved options")
    print(to_yaml(options))
    datasets = {key: _dataset(options, key) for key in options.datasets}  # data are what is missing most often
    if options.train is not None and options.val.val_freq:
        named = {
            key: {f"datasets.{name}": one for name, one in datasets.items() if name.startswith(key)} for key in PHASES
        }
        check_apart(named["train"], named["val"])
    batches = {key: first_batch(options, key, dataset) for key, dataset in datasets.items()}
    model = build_model(options, "cpu", train=options.train is not None)
    print("# networks")
    for line in describe_networks(model):
        print(line)
    for key, batch in batches.items():
        print(f"\n# one batch of datasets.{key}")
        for line in describe_batch(batch):
            print(line)


def _dataset(options: Options, key: str) -> Any:
    return build_dataset(options.datasets[key], seed=options.manual_seed, phase=_phase(key))


def _phase(key: str) -> Phase:
    return "train" if key.startswith("train") else "test"


def first_batch(options: Options, key: str, dataset: Any) -> Any:
    """Return the first batch of `datasets.<key>`, loaded and degraded by this process."""
    entry = options.datasets[key].model_copy(update={"num_worker_per_gpu": 0})
    return next(iter(build_loader(dataset, entry, phase=_phase(key)))).degraded()


def describe_networks(model: Model) -> list[str]:
    """Return one line for each network and each of its parts, with counts of parameters."""
    lines = []
    for name, network in model.networks().items():
        lines.append(f"{name}: {type(network).__name__}, {count(network):,} parameters")
        lines += [f"  {part}: {count(module):,}" for part, module in network.named_children() if count(module)]
        own = sum(item.numel() for item in network.parameters(recurse=False))
        if own:
            lines.append(f"  its own: {own:,}")
    return lines


def count(module: nn.Module) -> int:
    """Return the number of scalars in the parameters of `module`."""
    return sum(parameter.numel() for parameter in module.parameters())


def describe_batch(batch: Any, prefix: str = "") -> list[str]:
    """Return one line for each tensor of a batch: name, shape, type."""
    lines = []
    for item in fields(batch):
        value = getattr(batch, item.name)
        if isinstance(value, torch.Tensor):
            lines.append(f"{prefix}{item.name}: {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}")
        elif isinstance(value, References):
            lines += describe_batch(value, f"{item.name}.")
    return lines
