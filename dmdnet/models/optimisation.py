"""One network's optimiser with its learning rate schedule and gradient clipping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dmdnet.config.options import TrainOptions
from dmdnet.errors import CheckpointError
from dmdnet.models.parameter_groups import groups
from dmdnet.registry import OPTIMIZERS, SCHEDULERS, Component


def warmup_factor(iteration: int, warmup_iter: int) -> float:
    """Return the linear rise to 1 at iteration `warmup_iter` (1 throughout when that is 0)."""
    return min(1.0, iteration / warmup_iter) if warmup_iter else 1.0


class Optimisation:
    """Steps the parameters of one network.

    Args:
        network: all of its parameters that require gradients are trained.
        optimizer: the optimiser's component.
        recipe: schedule, warm-up and clipping come from here.
        multipliers: factors of the learning rate by patterns of the parameters' names (`parameter_groups`).
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Component,
        recipe: TrainOptions,
        multipliers: Mapping[str, float] | None = None,
    ) -> None:
        parts = groups(network, multipliers or {})
        self.parameters = [parameter for _, parameters in parts for parameter in parameters]
        known = {id(parameter): name for name, parameter in network.named_parameters()}
        self._names = [[known[id(parameter)] for parameter in parameters] for _, parameters in parts]
        self.optimizer: torch.optim.Optimizer = OPTIMIZERS.build(
            optimizer, params=[{"params": parameters} for _, parameters in parts]
        )
        self._rate = float(self.optimizer.param_groups[0]["lr"])
        self._base = [self._rate * factor for factor, _ in parts]
        self._schedule = SCHEDULERS.build(recipe.scheduler or Component("ConstantLR"), total_iter=recipe.total_iter)
        self._warmup_iter = recipe.warmup_iter
        self._clip = recipe.grad_clip_norm
        self._norm: Tensor | None = None

    def set_learning_rate(self, iteration: int) -> float:
        """Set the rates for `iteration` (a pure function of it) and return that without a multiplier."""
        factor = self._schedule(iteration) * warmup_factor(iteration, self._warmup_iter)
        for group, base in zip(self.optimizer.param_groups, self._base, strict=True):
            group["lr"] = base * factor
        return self._rate * factor

    def zero_grad(self) -> None:
        """Forget the gradients of the step before."""
        self.optimizer.zero_grad(set_to_none=True)

    def gradient_norm(self) -> Tensor:
        """Return the norm of all gradients, before clipping, on the device; `step` clips by it."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        self._norm = torch.nn.utils.get_total_norm(gradients)
        return self._norm.detach()

    def step(self, skip: Tensor | None = None) -> None:
        """Clip the gradients and update the parameters.

        Args:
            skip: (), float32 on the device: 1 leaves parameters, moments and step counts as they are, to the bit.
        """
        if self._clip is not None:
            assert self._norm is not None, "gradient_norm comes before step"
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self._clip, self._norm)
        if skip is None:
            self.optimizer.step()
        elif getattr(self.optimizer, "_step_supports_amp_scaling", False):
            self.optimizer.found_inf = skip  # type: ignore[attr-defined]  # the fused kernels look at it themselves
            self.optimizer.step()
        else:
            self._step_and_undo(skip)

    @torch.no_grad()
    def _step_and_undo(self, skip: Tensor) -> None:
        """Step an optimiser that knows nothing of `skip`; where it is 1, put back what was there."""
        before = {id(tensor): tensor.clone() for tensor in self._tensors()}
        self.optimizer.step()
        after = self._tensors()
        skips = {device: skip.to(device) > 0 for device in {tensor.device for tensor in after}}  # counts are on the CPU
        for tensor in after:  # a moment that this step made starts from 0
            old = before.get(id(tensor))
            undone = torch.zeros_like(tensor) if old is None else old
            tensor.copy_(torch.where(skips[tensor.device], undone, tensor))

    def moments(self) -> list[Tensor]:
        """Return the tensors of the optimiser's state."""
        found = [item for state in self.optimizer.state.values() for item in state.values()]
        return [item for item in found if isinstance(item, Tensor)]

    def _tensors(self) -> list[Tensor]:
        return [*self.parameters, *self.moments()]

    def state_dict(self) -> dict[str, Any]:
        """Return the optimiser's state, and the names of the parameters that it is of, by group."""
        return {**self.optimizer.state_dict(), "names": [list(names) for names in self._names]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the moments back; learning rate, betas and decay stay those of the option file.

        Raises:
            CheckpointError: the state belongs to other parameters.
        """
        names = state.get("names", self._names)  # checkpoints of version 0.1 may have none
        if names != self._names:
            raise CheckpointError(f"the saved optimiser state does not fit the network: {self._difference(names)}")
        mine = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        try:
            groups = state["param_groups"]
            if len(groups) == len(mine):
                # Ours before torch looks: it puts counts of steps on the GPU where the saved group says `fused`.
                groups = [{**saved, **own} for saved, own in zip(groups, mine, strict=True)]
            self.optimizer.load_state_dict({**state, "param_groups": groups})
        except (ValueError, KeyError) as error:
            raise CheckpointError(f"the saved optimiser state does not fit the network: {error}") from error
        self._lay_out_like_parameters()

    def _difference(self, saved: list[list[str]]) -> str:
        before, now = ({name for group in groups for name in group} for groups in (saved, self._names))
        if before == now:
            what = "it has the parameters in other groups"
        else:
            changes = [f"-{name}" for name in sorted(before - now)] + [f"+{name}" for name in sorted(now - before)]
            more = ", ..." if len(changes) > 4 else ""
            what = f"other parameters were trained ({', '.join(changes[:4])}{more})"
        return (
            f"{what}. Put train.freeze and train.lr_multipliers back, or start a new run under another name (with "
            "path.pretrain_network_g to begin from these weights)"
        )

    def _lay_out_like_parameters(self) -> None:
        """Give each moment the memory format of its parameter: fused kernels walk both in the order of the memory."""
        for parameter, moments in self.optimizer.state.items():
            for name, moment in moments.items():
                if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                    moments[name] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)
