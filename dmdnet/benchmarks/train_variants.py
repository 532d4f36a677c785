"""The switches of training that cost or save time, as changes of one option file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dmdnet.config.options import Options
from dmdnet.registry import DATASETS, MODELS, OPTIMIZERS, Component

PLAIN = "plain fp32 eager"
TOGETHER = "all together"


@dataclass(frozen=True)
class Switch:
    """Changes of `train`, of the model's, the optimisers' and the data set's keywords."""

    train: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    parts: int = 1  # into so many times as many a batch is divided
    together: bool = True  # among what is on in `all together`
    cuda: bool = False  # does nothing elsewhere, or is of no use: a CPU takes forty times as long in float16

    def joined(self, other: Switch) -> Switch:
        """Return both at once; where they differ, `other` counts."""
        return Switch(
            {**self.train, **other.train},
            {**self.model, **other.model},
            {**self.optimizer, **other.optimizer},
            {**self.data, **other.data},
            self.parts * other.parts,
        )


_OFF = Switch(
    {
        "amp": "none",
        "matmul_precision": "highest",
        "compile": False,
        "activation_checkpointing": False,
        "prefetch": False,
    },
    {"channels_last": False},
    {"implementation": "foreach"},
)
SWITCHES: dict[str, Switch] = {
    "tf32": Switch({"matmul_precision": "high"}, cuda=True),
    "bf16": Switch({"amp": "bf16"}),
    "fp16": Switch({"amp": "fp16"}, together=False, cuda=True),
    "channels last": Switch(model={"channels_last": True}),
    "fused adam": Switch(optimizer={"implementation": "fused"}),
    "compile": Switch({"compile": True}),
    "recomputed activations": Switch({"activation_checkpointing": True}, together=False),
    "compile, recomputed": Switch({"compile": True, "activation_checkpointing": True}, together=False),
    "half batches added up": Switch(parts=2, together=False),
    "prefetch": Switch({"prefetch": True}, cuda=True),
    "degraded by workers": Switch(data={"degrade_on": "worker"}, together=False),
    "degraded on the device": Switch(data={"degrade_on": "device"}, together=False),
}


def variants(options: Options, cuda: bool, leave_out: tuple[str, ...] = ()) -> dict[str, Options]:
    """Return the options of the plain run, of each switch alone, and of all together.

    A data set's degradation stays where the option file has it, by workers or on the device, but for the way that has
    it on the other side.

    Args:
        leave_out: names of switches that nothing is to use, neither alone nor with another.
    """
    train = options.datasets["train"].dataset
    used = {
        name: switch
        for name, switch in SWITCHES.items()
        if not {name, name.partition(",")[0]} & set(leave_out)
        and (cuda or not switch.cuda)
        and _other_side(train, switch)
    }
    everything = _OFF
    for switch in used.values():
        if switch.together:
            everything = everything.joined(switch)
    found = {PLAIN: _changed(options, _OFF)}
    found |= {name: _changed(options, _OFF.joined(switch)) for name, switch in used.items()}
    return found | {TOGETHER: _changed(options, everything)}


def _changed(options: Options, switch: Switch) -> Options:
    assert options.train is not None
    changes = dict(switch.train)
    for name in ("optim_g", "optim_d"):
        optimizer = getattr(options.train, name)
        if optimizer is not None:
            changes[name] = _with_known(optimizer, OPTIMIZERS, switch.optimizer)
    changes["accumulate"] = options.train.accumulate * switch.parts
    train = options.train.model_copy(update=changes)
    entry = options.datasets["train"]
    entry = entry.model_copy(update={"dataset": _with_known(entry.dataset, DATASETS, switch.data)})
    return options.model_copy(
        update={
            "train": train,
            "model": _with_known(options.model, MODELS, switch.model),
            "datasets": {**options.datasets, "train": entry},
        }
    )


def _other_side(dataset: Component, switch: Switch) -> bool:
    """Return whether a switch that moves the degradation moves it at all."""
    if not switch.data:
        return True
    known = DATASETS.schema(dataset.type).model_fields
    return all(key in known and dataset.options.get(key, known[key].default) != new for key, new in switch.data.items())


def _with_known(component: Component, registry: Any, changes: Mapping[str, Any]) -> Component:
    """Return the component with those changes that it has a keyword for."""
    known = registry.schema(component.type).model_fields
    return Component(component.type, {**component.options, **{k: v for k, v in changes.items() if k in known}})
