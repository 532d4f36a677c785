"""Adam (Kingma and Ba, ICLR 2015) and AdamW (Loshchilov and Hutter, ICLR 2019).

The fused kernels are the default: one kernel over all parameters, which also leaves out a bad step by itself
(models/finite.py). `implementation: foreach` has torch's older batched operations, for devices without fused ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field

from dmdnet.registry import OPTIMIZERS, Runtime

LearningRate = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0)]
Implementation = Literal["fused", "foreach"]


@OPTIMIZERS.register("Adam")
def adam(
    *,
    params: Runtime[Iterable[Any]],
    lr: LearningRate = 2e-4,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: Decay = 0.0,
    implementation: Implementation = "fused",
) -> torch.optim.Optimizer:
    """Return Adam over `params` (parameters or groups); `weight_decay` is an L2 term in the gradient."""
    return torch.optim.Adam(params, lr=lr, betas=betas, weight_decay=weight_decay, **{implementation: True})


@OPTIMIZERS.register("AdamW")
def adamw(
    *,
    params: Runtime[Iterable[Any]],
    lr: LearningRate = 2e-4,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: Decay = 0.01,
    implementation: Implementation = "fused",
) -> torch.optim.Optimizer:
    """Return AdamW over `params` (parameters or groups); `weight_decay` shrinks the weights themselves."""
    return torch.optim.AdamW(params, lr=lr, betas=betas, weight_decay=weight_decay, **{implementation: True})
