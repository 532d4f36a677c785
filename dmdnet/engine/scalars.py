"""The names under which trackers and the page of a run show numbers: `group/name`.

loss/        the terms of the objective and the discriminator's, unweighted, as BasicSR calls them (l_g_..., l_d_...)
lr/          the learning rate of each network, before multipliers
grad_norm/   of each network, before clipping, and of each term where `logger.grad_norm_freq` asks for it
time/        iterations a second, share of the wait for data
memory/      the most that was allocated on the GPU
dictionary/  how the generic dictionary's slots and the references are used, by place in the network
mask/        how far the specific read is believed, by place in the network
val/         <set>/<mode>_<metric>
"""

from __future__ import annotations

from collections.abc import Mapping

_OTHER = "train"
_RATE = "lr"
_NORM = "grad_norm_"
_VALIDATION = "val_"


def grouped(terms: Mapping[str, float]) -> dict[str, float]:
    """Return what a step logged, by `group/name`."""
    return {_name(name): value for name, value in terms.items()}


def _name(name: str) -> str:
    if "/" in name:
        return name
    if name.startswith("l_"):
        return f"loss/{name}"
    if name == _RATE or name.startswith(f"{_RATE}_"):
        return f"lr/{name.removeprefix(_RATE).removeprefix('_') or 'net_g'}"
    if name.startswith(_NORM):
        return f"grad_norm/{name.removeprefix(_NORM)}"
    return f"{_OTHER}/{name}"


def in_line(terms: Mapping[str, float]) -> dict[str, float]:
    """Return what of a step's terms goes into the line of the log: not the gradient of each term."""
    return {name: value for name, value in terms.items() if not name.startswith(f"{_NORM}l_")}


def validation_names(values: Mapping[str, float]) -> dict[str, float]:
    """Return `val_<set>/<mode>_<metric>` as `val/<set>/<mode>_<metric>`."""
    return {f"val/{name.removeprefix(_VALIDATION)}": value for name, value in values.items()}


def site_means(statistics: Mapping[str, float]) -> dict[str, float]:
    """Return the mean over the places in the network of each `group/kind/place`, for the one line of the log."""
    kinds: dict[str, list[float]] = {}
    for name, value in statistics.items():
        kinds.setdefault("_".join(name.split("/")[:2]), []).append(value)
    return {kind: sum(values) / len(values) for kind, values in kinds.items()}
