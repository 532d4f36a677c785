"""The guard between the backward pass and the optimisers.

Whether a step's numbers are finite is found out on the device and stays there: the optimisers, the average and the
buffers take the verdict as a tensor and change nothing where it is 1. The host reads the verdicts of many steps at
once, when it waits for the device anyway (`Watch.settle`, every `logger.print_freq` iterations); on a CPU, where
nothing has to be waited for, it reads each at once.
"""

from __future__ import annotations

import logging
import math
import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from dmdnet.errors import NonFiniteLossError

Policy = Literal["stop", "skip"]
_REMEDY = (
    "No weights were changed. Lower the learning rates or train.grad_clip_norm, set train.amp: none, or look at "
    "these samples; the last checkpoint is intact"
)
_SHOWN_STEPS = 5  # bad steps that one message names; the others are counted
_HISTORY = 200  # steps whose median a spike is measured against
_ENOUGH = 50  # steps before anything is called a spike
logger = logging.getLogger(__name__)


def free_to_read(verdict: Tensor) -> bool:
    """Return whether the host can look at a verdict without waiting for a device."""
    return verdict.device.type == "cpu"


@dataclass(frozen=True)
class StepNumbers:
    """What one step computed, without its graph, still on the device.

    Args:
        terms: name -> value of each sample, (B,).
        objective: the generator's weighted sum, ().
        norms: network -> norm of its gradient, ().
        names: the samples.
        iteration: counted from 1.
        scale: the loss scale of float16, (); None elsewhere.
    """

    terms: Mapping[str, Tensor]
    objective: Tensor
    norms: Mapping[str, Tensor]
    names: Sequence[str]
    iteration: int
    scale: Tensor | None = None


@dataclass(frozen=True)
class _Verdict:
    numbers: StepNumbers
    bad: Tensor  # (): a number of this step is not finite, on any rank
    counted: Tensor  # (): and it is not just float16's scale that was too large
    stopped: Tensor  # (): the run ends, here or before


class Watch:
    """Judges steps and says later which were left out.

    Args:
        policy: "stop" ends the run at the first bad step, "skip" goes on with the next.
        limit: how many steps in a row "skip" leaves out before it ends the run.
        spike: a step whose objective is so many times the median of those before is logged; None: never.
        device: where the verdicts live.
    """

    def __init__(self, policy: Policy, limit: int, spike: float | None, device: torch.device) -> None:
        self._limit = limit if policy == "skip" else 0
        self._spike = spike
        self._in_a_row = torch.zeros((), device=device)
        self._stopped = torch.zeros((), device=device)
        self._pending: list[_Verdict] = []
        self._history: deque[float] = deque(maxlen=_HISTORY)

    def judge(self, numbers: StepNumbers) -> Tensor:
        """Return (), float32: 1 where nothing may be updated, else 0; the same on all ranks.

        Once the run is to end it stays 1: the weights that the host finds then are those before the bad step.
        """
        finite = torch.isfinite(torch.cat([term.flatten() for term in numbers.terms.values()])).all()
        norms = torch.isfinite(torch.stack(list(numbers.norms.values()))).all()
        bad, bad_terms = _over_ranks(torch.stack([~(finite & norms), ~finite]).float()).unbind()
        counted = bad
        if numbers.scale is not None:  # a gradient too large for float16 is no fault while the scale can be lowered
            counted = torch.maximum(bad_terms, bad * (numbers.scale <= 1))
        self._in_a_row = torch.where(bad > counted, self._in_a_row, (self._in_a_row + 1) * counted)
        self._stopped = torch.maximum(self._stopped, (self._in_a_row > self._limit).float())
        self._pending.append(_Verdict(numbers, bad, counted, self._stopped))
        return torch.maximum(bad, self._stopped)

    def settle_where_free(self) -> None:
        """Settle on a CPU, where nothing has to be waited for."""
        if free_to_read(self._stopped):
            self.settle()

    def settle(self) -> None:
        """Read the verdicts since the last call; all ranks call it together. One transfer when all is well.

        Raises:
            NonFiniteLossError: the run ends; names the iteration, each bad term and its samples, or the network of
                the bad gradient.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return
        rows = [torch.stack([v.bad, v.counted, v.stopped, v.numbers.objective.float()]) for v in pending]
        table = torch.stack(rows).tolist()
        complaints = []
        ends = False
        for verdict, (bad, counted, stopped, objective) in zip(pending, table, strict=True):
            if ends:
                break  # later steps were not taken
            if counted:
                complaints.append(_complaint(verdict.numbers))
                ends = bool(stopped)
            elif bad:
                logger.info(
                    "iteration %d: float16 overflowed in a gradient; left out, the loss scale is halved",
                    verdict.numbers.iteration,
                )
            else:
                self._look_for_spike(verdict.numbers, objective)
        if complaints:
            self._report(complaints, ends)

    def state_dict(self) -> dict[str, Any]:
        """Return what a restart has to know: how many steps in a row were left out."""
        return {"in_a_row": int(self._in_a_row)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take `state_dict()` back."""
        self._in_a_row.fill_(float(state["in_a_row"]))

    def _report(self, complaints: Sequence[str], ends: bool) -> None:
        if ends:
            self._in_a_row.zero_()  # who goes on in spite of the error begins to count again
            self._stopped.zero_()
            more = f". It is number {self._limit + 1} in a row (train.max_non_finite: {self._limit})"
            raise NonFiniteLossError(f"{complaints[-1]}{more if self._limit else ''}. {_REMEDY}")
        for complaint in complaints[:_SHOWN_STEPS]:
            logger.warning("%s; this step is left out", complaint)
        untold = len(complaints) - _SHOWN_STEPS
        if untold > 0:
            logger.warning("%d more steps were left out for numbers that are not finite", untold)

    def _look_for_spike(self, numbers: StepNumbers, objective: float) -> None:
        if self._spike is not None and len(self._history) >= _ENOUGH:
            median = statistics.median(self._history)
            if objective > self._spike * median > 0:
                logger.warning(
                    "iteration %d: the loss %.4g is %.1f times the median of the %d before; %s",
                    numbers.iteration,
                    objective,
                    objective / median,
                    len(self._history),
                    _largest(numbers),
                )
        self._history.append(objective)


def _over_ranks(flags: Tensor) -> Tensor:
    """Return the largest of each flag over all ranks, on the device."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
    return flags


def _complaint(numbers: StepNumbers) -> str:
    """Return what is not finite in a bad step, from whichever rank it was seen on."""
    mine = _own_complaint(numbers)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        found: list[tuple[bool, str]] = [(False, "")] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(found, mine)
        named = [f"{text} (rank {rank})" for rank, (in_terms, text) in enumerate(found) if in_terms]
        text = "; ".join(named) or found[0][1]
    else:
        text = mine[1]
    return f"iteration {numbers.iteration}: {text}"


def _own_complaint(numbers: StepNumbers) -> tuple[bool, str]:
    """Return whether a sample of this rank is at fault, and what is to be said of it."""
    complaints = [
        f"{name} is {_first_bad(values)} for {', '.join(_bad_samples(values, numbers.names))}"
        for name, values in numbers.terms.items()
        if not bool(torch.isfinite(values).all())
    ]
    if complaints:
        return True, "; ".join(complaints)
    norms = [
        f"the norm of the gradient of {name} is {float(norm)} (batch: {', '.join(numbers.names)})"
        for name, norm in numbers.norms.items()
        if not math.isfinite(float(norm))
    ]
    return False, "; ".join(norms)


def _first_bad(values_B: Tensor) -> float:
    return next(value for value in values_B.tolist() if not math.isfinite(value))


def _bad_samples(values_B: Tensor, names: Sequence[str]) -> list[str]:
    return [name for name, value in zip(names, values_B.tolist(), strict=True) if not math.isfinite(value)]


def _largest(numbers: StepNumbers) -> str:
    """Return the sample that each term is largest for."""
    found = []
    for term, values_B in numbers.terms.items():
        values = values_B.tolist()
        worst = max(range(len(values)), key=values.__getitem__)
        found.append(f"{term} is largest for {numbers.names[worst]} ({values[worst]:.4g})")
    return ", ".join(found)
