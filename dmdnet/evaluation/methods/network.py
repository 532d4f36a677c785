"""A network of ours, or a published one: its outputs, with one or several numbers of references."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from dmdnet.archs.loading import load_network, load_network_state
from dmdnet.config.options import Options
from dmdnet.data.batch import FaceBatch, References
from dmdnet.errors import ConfigError, WeightsError
from dmdnet.evaluation.methods.base import Method, TestSet
from dmdnet.evaluation.records import MethodInfo
from dmdnet.evaluation.restoring import WITH_REFERENCES, Restored, RestoreFunction, restore_batch
from dmdnet.models.base import Model, build_network
from dmdnet.registry import ARCHS, METHODS, MODELS, Component, Runtime, plain
from dmdnet.typed import nearest

AtLeastOne = Annotated[int, Field(ge=1)]


class Columns:
    """The columns of one restoring function: modes, those with references once for each number of them.

    Args:
        restore: (batch, modes) -> mode -> pictures.
        by_name: column -> its mode and its number of references (None: all that the set gives).
    """

    def __init__(self, restore: RestoreFunction, by_name: Mapping[str, tuple[str, int | None]]) -> None:
        self._restore = restore
        self._by_name = dict(by_name)

    def restore(self, batch: FaceBatch, columns: Sequence[str]) -> dict[str, Restored]:
        """Return column -> answer. Modes with equal numbers of references are asked for together."""
        groups: dict[int | None, dict[str, str]] = {}
        without: dict[str, str] = {}
        for column in columns:
            mode, count = self._by_name[column]
            group = groups.setdefault(count, {}) if mode in WITH_REFERENCES else without
            group[mode] = column
        # a specific output is decoded together with the generic one, which comes for nothing there
        first = next(iter(groups), None)
        groups.setdefault(first, {}).update(without)
        found: dict[str, Restored] = {}
        for count, modes in groups.items():
            answers = restore_batch(self._restore, with_references(batch, count), tuple(modes))
            found |= {column: answers[mode] for mode, column in modes.items()}
        return {column: found[column] for column in columns}


def with_references(batch: FaceBatch, count: int | None) -> FaceBatch:
    """Return the batch with the first `count` references of each picture; None: with all."""
    if count is None:
        return batch
    return replace(
        batch, references=_first(batch.references, count), wrong_references=_first(batch.wrong_references, count)
    )


def _first(references: References | None, count: int) -> References | None:
    return None if references is None else references.first(count)


@METHODS.register()
class NetworkMethod(Method):
    """A network with its weights, and which of its outputs are compared.

    A column is called `<entry>_<mode>`, and `<entry>_<mode>@<k>` where numbers of references are given.

    Args:
        weights: a checkpoint of ours (`net_g_<iter>.pth`, `.safetensors`), or a published file that is known here
            (DMDNet.pth); the network is the one that the file is of. Default: `path.pretrain_network_g`.
        network: for weights that do not say which network they are of. Default with `path.pretrain_network_g`: the
            option file's `network_g`.
        model: how the network is run; default: the option file's `model`.
        modes: its outputs: `generic`, `specific`, and `wrong_person`, which is `specific` with another person's
            references (the set needs `wrong_references: true`).
        references: numbers of references, each a column of its own: the first ones of those that the set gives
            (so that the set's `num_references` has to be at least the largest). Default: all that the set gives.
        prefer_ema: take the averaged weights where the file has them.
    """

    def __init__(
        self,
        *,
        weights: str | None = None,
        network: Annotated[Component, ARCHS] | None = None,
        model: Annotated[Component, MODELS] | None = None,
        modes: Annotated[tuple[str, ...], Field(min_length=1)] = ("generic", "specific"),
        references: tuple[AtLeastOne, ...] = (),
        prefer_ema: bool = True,
        entry: Runtime[str],
        options: Runtime[Options],
        device: Runtime[torch.device],
    ) -> None:
        super().__init__(entry=entry, options=options, device=device)
        self.kind = options.model if model is None else model
        self._check(modes, references)
        path = weights or options.path.pretrain_network_g
        if path is None:
            raise WeightsError(
                f"methods.{entry}: names no weights; set methods.{entry}.weights or path.pretrain_network_g, for "
                "example to experiments/<name>/models/net_g_latest.pth"
            )
        self.weights = path
        if weights is None and network is None:
            network = options.network_g
        self.net_options = network
        net = _network(path, network, options, device, prefer_ema)
        self.network: Model = MODELS.build(
            self.kind, options=options, networks={"net_g": net}, device=device, train=False
        )
        self.prefer_ema = prefer_ema
        self._sha256 = sha256_of(path)
        self._columns = self._named(modes, references)
        self._answers = Columns(
            lambda batch, wanted: self.network.restore(batch, wanted),
            {info.name: (info.mode, info.references) for info in self._columns},
        )

    def _check(self, modes: tuple[str, ...], references: tuple[int, ...]) -> None:
        known = [mode for mode in getattr(MODELS.get(self.kind.type), "modes", modes) if mode != "input"]
        for mode in modes:
            if mode not in known:
                hint = "the degraded input is {type: InputMethod}" if mode == "input" else nearest(mode, known)
                raise ConfigError(f"methods.{self.entry}.modes: {self.kind.type} has no output {mode!r}; {hint}")
        for what, values in (("modes", modes), ("references", references)):
            if len(set(values)) < len(values):
                raise ConfigError(f"methods.{self.entry}.{what}: {list(values)} has one twice")
        if references and not set(modes) & set(WITH_REFERENCES):
            raise ConfigError(
                f"methods.{self.entry}.references: none of its modes {list(modes)} uses references; take it out, or "
                "add specific to modes"
            )

    def _named(self, modes: tuple[str, ...], references: tuple[int, ...]) -> tuple[MethodInfo, ...]:
        found = []
        for mode in modes:
            counts = (references or (None,)) if mode in WITH_REFERENCES else (None,)
            for count in counts:
                name = f"{self.entry}_{mode}" + ("" if count is None else f"@{count}")
                found.append(
                    MethodInfo(
                        name, "network", entry=self.entry, mode=mode, references=count, source=self.weights,
                        sha256=self._sha256,
                    )
                )  # fmt: skip
        return tuple(found)

    @property
    def columns(self) -> tuple[MethodInfo, ...]:
        """One for each mode, or for each mode and number of references."""
        return self._columns

    def start(self, test_set: TestSet) -> tuple[str, ...]:
        """Check that the set gives the references that are asked for."""
        most = max((info.references or 0 for info in self._columns), default=0)
        if test_set.most_references is not None and most > max(test_set.most_references, 0) > 0:
            raise ConfigError(
                f"methods.{self.entry}.references: {most}, and the set {test_set.name!r} gives at most "
                f"{test_set.most_references}; raise its num_references"
            )
        modes = {info.mode for info in self._columns}
        if "wrong_person" in modes and test_set.has_wrong_references is False and test_set.most_references != 0:
            return (f"{self.entry}: {test_set.name} gives nobody else's references; set wrong_references: true",)
        return ()

    def networks(self) -> Mapping[str, nn.Module]:
        """Return the networks of the model."""
        return self.network.networks()

    def settings(self, column: str) -> Mapping[str, Any]:
        """Return weights, network, mode, number of references and model."""
        info = next(info for info in self._columns if info.name == column)
        return {
            "weights": self._sha256,
            "prefer_ema": self.prefer_ema,
            "mode": info.mode,
            "references": info.references,
            "model": plain(self.kind),
            "network": None if self.net_options is None else plain(self.net_options),
            "strict": self.options.path.strict_load_g,
            "deterministic": self.options.deterministic,
        }

    def restore(self, batch: FaceBatch, columns: Sequence[str]) -> dict[str, Restored]:
        """Return column -> what the network makes of the batch."""
        return self._answers.restore(batch, columns)


def _network(
    path: str, network: Component | None, options: Options, device: torch.device, prefer_ema: bool
) -> nn.Module:
    if network is None:
        return load_network(path, device, prefer_ema)
    net = build_network(network, options.manual_seed, device)
    strict = options.path.strict_load_g or path != options.path.pretrain_network_g
    load_network_state(net, path, key="params_ema" if prefer_ema else "params", strict=strict)
    return net.eval()


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file; a file is read once per process and version of it."""
    stat = Path(path).stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


@functools.cache
def _sha256(path: str, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
