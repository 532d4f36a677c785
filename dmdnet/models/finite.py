"""The guard between the backward pass and the optimisers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dmdnet.errors import NonFiniteLossError


def check_finite(
    terms: Mapping[str, Tensor], norms: Mapping[str, Tensor], names: Sequence[str], iteration: int
) -> None:
    """Raise unless every per-sample term (B,) and every gradient norm () is finite. One host read when all is well.

    Raises:
        NonFiniteLossError: names the iteration, each bad term and its samples, or the network of the bad gradient.
    """
    everything = torch.cat(
        [*(term.detach().flatten() for term in terms.values()), *(n.reshape(1) for n in norms.values())]
    )
    if bool(torch.isfinite(everything).all()):
        return
    complaints = [
        f"{name} is {_first_bad(values)} for {', '.join(_bad_samples(values, names))}"
        for name, values in terms.items()
        if not bool(torch.isfinite(values).all())
    ]
    complaints += [
        f"the norm of the gradient of {name} is {float(norm)} (batch: {', '.join(names)})"
        for name, norm in norms.items()
        if not math.isfinite(float(norm)) and not complaints
    ]
    remedy = (
        "No weights were changed. Lower the learning rates or train.grad_clip_norm, set train.amp: none, or look at "
        "these samples; the last checkpoint is intact"
    )
    raise NonFiniteLossError(f"iteration {iteration}: {'; '.join(complaints)}. {remedy}")


def _first_bad(values_B: Tensor) -> float:
    return next(value for value in values_B.tolist() if not math.isfinite(value))


def _bad_samples(values_B: Tensor, names: Sequence[str]) -> list[str]:
    return [name for name, value in zip(names, values_B.tolist(), strict=True) if not math.isfinite(value)]
